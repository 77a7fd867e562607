package cli

import (
	"context"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

func (a *app) accountPause() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "pause ACCOUNT…", Short: "Stop syncing accounts until they are resumed", Args: named,
		Long: "Stop syncing accounts until they are resumed. What was fetched stays and can be read.\n" +
			"run and a sync of all accounts leave them out; a sync that names one makes one pass and leaves it paused.",
		Example: `  mailcote account pause you@example.org
  mailcote account pause work home --reason "on holiday"`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.change(c.Context(), "mailcote account pause", args, func(e *engine.Engine, ids []storage.AccountID) error {
				return e.PauseAccounts(c.Context(), ids, reason)
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "`WHY`, shown where the account is")
	return c
}

func (a *app) accountResume() *cobra.Command {
	return &cobra.Command{
		Use: "resume ACCOUNT…", Short: "Sync accounts again that were paused, by hand or by a fault", Args: named,
		Example: `  mailcote account resume you@example.org`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.change(c.Context(), "mailcote account resume", args, func(e *engine.Engine, ids []storage.AccountID) error {
				return e.ResumeAccounts(c.Context(), ids)
			})
		},
	}
}

// named wants one account or more.
func named(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("ACCOUNT is missing: %s", c.UseLine())
	}
	return nil
}

// change does something to the accounts named, all or none of them, and prints them as they are then.
func (a *app) change(ctx context.Context, command string, names []string, do func(*engine.Engine, []storage.AccountID) error) error {
	var ids []storage.AccountID
	if err := a.read(ctx, func(r *storage.Reader) error {
		for _, name := range names {
			one, err := findAccount(r, name)
			if err != nil {
				return err
			}
			ids = append(ids, one.ID)
		}
		return nil
	}); err != nil {
		return err
	}
	var views []accountView
	if err := a.owning(ctx, command, func(st *storage.Store, e *engine.Engine) error {
		if err := do(e, ids); err != nil {
			return err
		}
		return st.Read(ctx, func(r *storage.Reader) error {
			for _, id := range ids {
				one, err := r.Account(id)
				if err != nil {
					return err
				}
				v, err := viewAccount(r, one)
				if err != nil {
					return err
				}
				views = append(views, v)
			}
			return nil
		})
	}); err != nil {
		return err
	}
	if a.json {
		return each(views, a.voice.JSON)
	}
	for _, v := range views {
		if err := a.voice.Say("%s: %s", a.voice.Strong(voice.Line(v.Account)), v.State); err != nil {
			return err
		}
	}
	return nil
}
