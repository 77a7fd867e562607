package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
)

func (a *app) accountAdd() *cobra.Command {
	var s sources
	var name string
	var noTest bool
	c := &cobra.Command{
		Use: "add URL", Short: "Add an account", Args: exactly(1, "URL"),
		Long: `Add an account. The login is tried first. The password comes from
--password-file, --password-command, --password-stdin or the prompt. One that
was typed or came from stdin is kept in the secrets file beside the store, which
only you can read.`,
		Example: `  mailcote account add imaps://you@example.org
  mailcote account add imaps://anna%40example.org@imap.example.org --name work
  mailcote account add imap+starttls://you@example.org \
    --password-command 'pass show mail'`,
		RunE: func(c *cobra.Command, args []string) error {
			l, err := s.login(a, args[0])
			if err != nil {
				return err
			}
			if c.Flags().Changed("name") {
				if err := goodName(name); err != nil {
					return err
				}
			}
			if err := s.canGive(a, l, true); err != nil {
				return err
			}
			return a.owning(c.Context(), "mailcote account add", func(st *storage.Store, e *engine.Engine) error {
				move, err := a.move(c.Context(), st, l)
				if err != nil {
					return err
				}
				if err := mayHaveName(c.Context(), st, l, name); err != nil {
					return err
				}
				ref, err := a.tried(c.Context(), &s, &l, st, noTest)
				if err != nil {
					return err
				}
				return a.added(c.Context(), e, engine.NewAccount{Login: l, Name: name, Ref: ref,
					Insecure: s.insecure, Move: move}, st)
			})
		},
	}
	s.flags(c)
	c.Flags().StringVar(&name, "name", "", "call the account `NAME` (default: its address)")
	c.Flags().BoolVar(&noTest, "no-test", false, "add the account without trying to sign in")
	return c
}

// mayHaveName refuses a name that a new account cannot get, because another one
// has it, or that a known one would have to change for. No name is any.
func mayHaveName(ctx context.Context, st *storage.Store, l engine.Login, name string) error {
	if name == "" {
		return nil
	}
	return st.Read(ctx, func(r *storage.Reader) error {
		have, err := r.AccountByIdentity(l.User, l.Host, l.Port)
		switch {
		case err == nil && have.Name != name:
			return usagef("that account is there and is called %s, and nothing was changed: mailcote account rename "+
				"%s %s", have.Name, view.ShellWord(have.Name), view.ShellWord(name))
		case err == nil:
			return nil
		case !errors.Is(err, storage.ErrNotFound):
			return err
		}
		if _, err = r.AccountByName(name); errors.Is(err, storage.ErrNotFound) {
			return nil
		} else if err == nil {
			err = taken(&engine.NameTakenError{Name: name})
		}
		return err
	})
}

// tried gets the password into l and signs in with it. The reference says where
// it is kept.
func (a *app) tried(ctx context.Context, s *sources, l *engine.Login, st *storage.Store,
	noTest bool) (secret.Ref, error) {
	var ref secret.Ref
	var err error
	if l.Password, ref, err = s.get(ctx, a, *l, st.Path()); err != nil {
		return ref, err
	}
	if !noTest {
		if err := a.probeAsking(ctx, s, l, s.insecure); err != nil {
			a.voice.Note("The account was not added; --no-test adds it without trying.")
			return ref, err
		}
	}
	if ref.Kind == secret.None {
		return s.remember(a, st.Path(), *l, l.Password)
	}
	return ref, nil
}

// addedAccount is `account add --json`.
type addedAccount struct {
	accountView
	Created bool `json:"created"` // false: it was there, and was updated
}

func (a *app) added(ctx context.Context, e *engine.Engine, n engine.NewAccount, st *storage.Store) error {
	id, created, err := e.AddAccount(ctx, n)
	if err != nil {
		return err
	}
	var v accountView
	if err := st.Read(ctx, func(r *storage.Reader) error {
		one, err := r.Account(id)
		if err == nil {
			v, err = viewAccount(r, one)
		}
		return err
	}); err != nil {
		return err
	}
	if a.json {
		return a.voice.JSON(addedAccount{v, created})
	}
	word := "Added"
	if !created {
		word = "Updated"
	}
	if err := a.voice.Say("%s %s.", word, a.voice.Strong(voice.Line(v.Account))); err != nil {
		return err
	}
	a.voice.Note("Fetch its mail: mailcote sync %s", voice.Line(view.ShellWord(v.Account)))
	return nil
}

func (a *app) accountPause() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "pause ACCOUNT…", Short: "Stop syncing accounts until they are resumed", Args: named,
		Long: `Stop syncing accounts until they are resumed. What was fetched stays and can be
read. run and a sync of all accounts leave them out; a sync that names one
makes one pass and leaves it paused.`,
		Example: `  mailcote account pause you@example.org
  mailcote account pause work home --reason "on holiday"`,
		ValidArgsFunction: a.completeAccounts(-1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.change(c.Context(), "mailcote account pause", args,
				func(e *engine.Engine, ids []storage.AccountID) error {
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
		Example: `  mailcote account resume you@example.org`, ValidArgsFunction: a.completeAccounts(-1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.change(c.Context(), "mailcote account resume", args,
				func(e *engine.Engine, ids []storage.AccountID) error {
					return e.ResumeAccounts(c.Context(), ids)
				})
		},
	}
}

// named wants the names of one or more accounts.
func named(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("ACCOUNT is missing: %s", c.UseLine())
	}
	return nil
}

// change changes all accounts named, or none of them, and prints them.
func (a *app) change(ctx context.Context, command string, names []string,
	do func(*engine.Engine, []storage.AccountID) error) error {
	var ids []storage.AccountID
	var before []string // what they are called
	if err := a.read(ctx, func(r *storage.Reader) error {
		for _, name := range names {
			one, err := findAccount(r, name)
			if err != nil {
				return err
			}
			ids, before = append(ids, one.ID), append(before, one.Name)
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
	for i, v := range views {
		text := a.voice.Strong(voice.Line(v.Account)) + ": " + v.State
		if v.Account != before[i] {
			text = voice.Line(before[i]) + " is called " + a.voice.Strong(voice.Line(v.Account)) + " now."
		}
		if err := a.voice.Say("%s", text); err != nil {
			return err
		}
	}
	return nil
}
