package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/storage/owner"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// findingView is what check found, in JSON.
type findingView struct {
	Type   string      `json:"type"`       // always "finding"
	What   string      `json:"what"`       // what kind of thing is wrong
	Where  string      `json:"where"`      // the row, mailbox or message
	Detail answer.Text `json:"detail"`     // what is wrong, in words
	Mends  bool        `json:"repairable"` // check --repair mends it
}

// checkView is what check says of a store in which it found nothing, in JSON.
type checkView struct {
	Type    string        `json:"type"`    // always "check"
	Sound   bool          `json:"sound"`   // always true; what is wrong is a finding
	Remote  bool          `json:"remote"`  // it was compared with its servers too
	Seconds answer.Number `json:"seconds"` // that it took
}

func (a *app) check() *cobra.Command {
	var out, rebuild string
	var remote, repair bool
	c := &cobra.Command{
		Use: "check", Short: "Verify the store: every digest, row and index", Args: exactly(0, ""),
		Long: `Verify the store: SQLite's own check, every digest, coverage, counters, derived
rows, the index and the queue. Nothing is changed. With --remote each message
is compared with its server too: number, flags, arrival and, by a download,
every byte. That keeps to pauses and limits as a sync does; beside a running
mailcote it takes a connection of its own. With --salvage what can be read of a
damaged store is saved into a new one.

With --repair what is found is mended: what is missing or damaged is downloaded
again, from a full comparison with the server, and derived rows are made again.
No mail is deleted; what the server no longer has stays as it is. If pages of the
file are damaged, what can be read is saved into a new one first, and the old
one is kept beside it as .corrupt-TIME. --rebuild makes derived rows again
without a check: views (subject, people, dates, preview), search, or threads.
Both own the store while they work.`,
		Example: `  mailcote check
  mailcote check --json
  mailcote check --remote
  mailcote check --repair
  mailcote check --rebuild search
  mailcote check --salvage saved.db`,
		RunE: func(c *cobra.Command, _ []string) error {
			if n := given(c, "salvage", "remote", "repair", "rebuild"); n > 1 {
				return usagef("--salvage, --remote, --repair and --rebuild are tasks of their own: give one of them")
			}
			switch {
			case repair:
				return a.repair(c.Context())
			case c.Flags().Changed("rebuild"):
				return a.rebuild(c.Context(), engine.Rebuilding(rebuild))
			}
			if c.Flags().Changed("salvage") {
				return a.salvageInto(c.Context(), out)
			}
			return a.findings(remote, func() (found []storage.Finding, err error) {
				if err := a.reading(c.Context(), func(s *storage.Store) (err error) {
					found, err = engine.Check(c.Context(), s, a.checking())
					return err
				}); err != nil || !remote {
					return found, err
				}
				more, err := a.compare(c.Context(), a.following("Compared", " messages"))
				return append(found, more...), err
			})
		},
	}
	c.Flags().BoolVar(&remote, "remote", false, "compare every message with its server too; downloads all mail once")
	c.Flags().BoolVar(&repair, "repair", false, "mend what is found; downloads again what is missing or damaged")
	c.Flags().StringVar(&rebuild, "rebuild", "", "make `WHAT` again from the mail: views, search or threads")
	flagged(c, "rebuild", oneOf(string(engine.RebuildViews), string(engine.RebuildSearch),
		string(engine.RebuildThreads)))
	c.Flags().StringVar(&out, "salvage", "", "save what can be read into the new store `OUT`; the store is only read")
	return c
}

// compare compares every account with its server. It owns the store, or reads
// it alongside its owner.
func (a *app) compare(ctx context.Context, report func(done, total int64)) (found []storage.Finding, err error) {
	o := engine.RemoteOptions{Progress: report}
	apart := 0 // messages in quarantine: there is nothing to compare
	with := func(s *storage.Store, check func() ([]storage.Finding, error)) error {
		if err := s.Read(ctx, func(r *storage.Reader) (err error) {
			o.Accounts, err = r.Accounts()
			for _, one := range o.Accounts {
				n, failed := r.Quarantined(one.ID)
				apart, err = apart+n, errors.Join(err, failed)
			}
			return err
		}); err != nil {
			return err
		}
		if len(o.Accounts) == 0 {
			return noAccount()
		}
		found, err = check()
		return err
	}
	err = a.owning(ctx, "mailcote check --remote", func(s *storage.Store, e *engine.Engine) error {
		return with(s, func() ([]storage.Finding, error) { return e.CheckRemote(ctx, o) })
	})
	if held := (*owner.HeldError)(nil); errors.As(err, &held) {
		err = a.reading(ctx, func(s *storage.Store) error {
			return with(s, func() ([]storage.Finding, error) {
				return engine.CheckRemoteBeside(ctx, a.engineOptions(s), o)
			})
		})
	}
	if err == nil && apart > 0 {
		a.voice.Note("In quarantine, and not compared: %s. See mailcote errors quarantine.",
			format.Plural(int64(apart), "message", "messages"))
	}
	return found, err
}

// findings prints what a check finds, or that the store is sound.
func (a *app) findings(remote bool, look func() ([]storage.Finding, error)) error {
	began := time.Now()
	found, err := look()
	a.ended()
	for _, f := range found {
		if err := a.printFinding(f); err != nil {
			return err
		}
	}
	if err != nil { // after what was found until then
		return err
	}
	if len(found) > 0 {
		a.voice.Note("%s. Nothing was changed.%s", format.Plural(int64(len(found)), "finding", "findings"),
			repairable(found))
		return &ended{Failed}
	}
	if a.json {
		return a.voice.JSON(checkView{"check", true, remote, answer.Number(time.Since(began).Seconds())})
	}
	a.voice.Note("The store is sound.")
	return nil
}

// salvageInto saves what can be read of the store into a new one.
func (a *app) salvageInto(ctx context.Context, out string) error {
	path, _, err := a.storePath()
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return fmt.Errorf("salvage: %w", err)
	}
	r, err := storage.SalvageInto(ctx, path, out, *engine.Salvage(nil, a.salvaging()))
	a.ended()
	if errors.Is(err, storage.ErrSalvageName) {
		return usagef("%s is a name that the store uses itself: name another file with --salvage", out)
	}
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s exists: name a new file with --salvage", out)
	}
	if err != nil {
		return err
	}
	if a.json {
		if err := a.voice.JSON(viewOf(r)); err != nil {
			return err
		}
	}
	a.voice.Note("Saved into %s: %s; %s when it is synced. Use it with --store, or move it to the store's place.",
		voice.Line(out), savedWords(r), refetched(r))
	if r.Missing > 0 {
		return &ended{Partly}
	}
	return nil
}

func (a *app) printFinding(f storage.Finding) error {
	if a.json {
		return a.voice.JSON(findingView{"finding", f.What, f.Where, answer.Text(f.Detail), f.Mends})
	}
	return a.voice.Say("%s", strings.Join(a.voice.Wrap(a.voice.Strong(voice.Line(f.What))+": ", 2,
		f.Where+": "+f.Detail), "\n"))
}

// salvagedView is what was saved of a damaged store, in JSON.
type salvagedView struct {
	Type      string      `json:"type"`      // always "salvaged"
	Cause     answer.Text `json:"cause"`     // what is damaged; null: check --salvage was asked for
	Kept      answer.Text `json:"kept"`      // the file of the damaged store; null: it stays where it is
	Accounts  int64       `json:"accounts"`  // how many were saved
	Mailboxes int64       `json:"mailboxes"` // how many were saved
	Messages  int64       `json:"messages"`  // how many were saved
	Missing   int64       `json:"missing"`   // messages that the mailboxes counted and that could not be read
}

func viewOf(r storage.Salvaged) salvagedView {
	return salvagedView{"salvaged", answer.Text(r.Cause), answer.Text(r.Aside), r.Accounts, r.Mailboxes, r.Messages,
		r.Missing}
}

// salvaging shows on a terminal how far salvaging is.
func (a *app) salvaging() func(done, total int64) {
	return a.following("The store is damaged: saved", " messages")
}

// saved says what was saved and what will be fetched again.
func (a *app) saved(r storage.Salvaged) error {
	a.ended()
	if a.json {
		if err := a.voice.JSON(viewOf(r)); err != nil {
			return err
		}
	}
	a.voice.Warn("the store was damaged (%s) and is kept as %s; saved into a new one: %s; %s", voice.Line(r.Cause),
		voice.Line(r.Aside), savedWords(r), refetched(r))
	return nil
}

func savedWords(r storage.Salvaged) string {
	return fmt.Sprintf("%s, %s, %s", format.Plural(r.Accounts, "account", "accounts"),
		format.Plural(r.Mailboxes, "mailbox", "mailboxes"),
		format.Plural(r.Messages, "message", "messages"))
}

func refetched(r storage.Salvaged) string {
	if r.Missing == 0 {
		return "each mailbox is compared with the server again, what it misses is fetched"
	}
	return fmt.Sprintf("%s could not be read: what the server still has is fetched again",
		format.Plural(r.Missing, "message", "messages"))
}
