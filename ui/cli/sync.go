package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/bars"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// syncing is one sync command.
type syncing struct {
	sources
	once      bool
	mailboxes []string
	added     bool // the URL's account is new
}

func (a *app) sync() *cobra.Command {
	var s syncing
	c := &cobra.Command{
		Use: "sync [ACCOUNT…|URL]", Short: "Fetch what is new, then end",
		Long: `Bring accounts to the server's state, then end: every account, those named, or
the one a URL says. A URL's account is added if it is new. One that is known at
another port or with other security is not changed unless you say so. With --once
its password is used and not kept. An account paused by hand is left out, or
synced once when it is named; it stays paused.`,
		Example: `  mailcote sync
  mailcote sync you@example.org --mailbox INBOX
  mailcote sync imap://test:secret@127.0.0.1:1143 --store t.db --once --json`,
		ValidArgsFunction: a.completeAccounts(-1),
		RunE: func(c *cobra.Command, args []string) error {
			login, err := s.check(a, args)
			if err != nil {
				return err
			}
			var all []engine.Summary
			err = a.tending(c.Context(), "mailcote sync", func(ctx context.Context, st *storage.Store,
				e *engine.Engine) error {
				all = nil
				ids, err := s.accounts(ctx, a, st, e, login, args)
				if err != nil {
					return err
				}
				all = a.syncNow(ctx, e, ids, s.mailboxes)
				again, err := s.again(ctx, a, st, e, login, ids, all)
				if again {
					all = a.syncNow(ctx, e, ids, s.mailboxes)
				}
				return errors.Join(err, s.unknown(ctx, st, ids))
			})
			switch mistyped := (*usageError)(nil); {
			case err != nil && a.json: // before the summaries, so that these are last
				err = a.fail(c, err)
			case errors.As(err, &mistyped):
				return err // clearer than the summaries
			}
			if s.added && len(all) == 1 && statusOfSummary(all[0]) == Denied {
				all[0].NextStep = strings.TrimPrefix(all[0].NextStep+"; ", "; ") +
					"the account was added and is paused: " +
					"mailcote account remove " + view.ShellWord(all[0].Account) + " forgets it"
			}
			if reported := a.report(all); err == nil {
				err = reported
			}
			return err
		},
	}
	s.flags(c)
	c.Flags().BoolVar(&a.direct, "direct", false,
		"do without the queue's table; it is done by itself when the table cannot be used")
	c.Flags().BoolVar(&s.once, "once", false, "one pass; a URL's password is not kept")
	c.Flags().StringArrayVar(&s.mailboxes, "mailbox", nil, "only this `MAILBOX` (may be repeated)")
	return c
}

// check reads a URL and refuses what cannot work before the store is touched.
func (s *syncing) check(a *app, args []string) (*engine.Login, error) {
	if !slices.ContainsFunc(args, isURL) {
		if s.given() {
			return nil, usagef("--password-file, --password-command and --password-stdin belong to a URL: mailcote " +
				"sync URL, or mailcote account add URL")
		}
		return nil, nil
	}
	if len(args) > 1 {
		return nil, usagef("sync takes one URL, or names of accounts: mailcote sync URL")
	}
	l, err := s.login(a, args[0])
	if err == nil && !s.once && (s.stdin || !l.Password.Empty()) {
		err = s.canGive(a, l, true)
	}
	return &l, err
}

// accounts gives the accounts to sync. It adds that of a URL when it is new.
func (s *syncing) accounts(ctx context.Context, a *app, st *storage.Store, e *engine.Engine, l *engine.Login,
	args []string) ([]storage.AccountID, error) {
	if l != nil {
		id, err := s.fromURL(ctx, a, st, e, *l)
		return []storage.AccountID{id}, err
	}
	var ids []storage.AccountID
	err := st.Read(ctx, func(r *storage.Reader) error {
		if len(args) == 0 {
			all, err := r.Accounts()
			if err == nil && len(all) == 0 {
				err = noAccount()
			}
			for _, one := range all {
				if one.PauseClass == class.Manual { // unless it is named
					a.voice.Note("%s is left out: %s", voice.Line(one.Name), voice.Line(pausedStep(one)))
					continue
				}
				ids = append(ids, one.ID)
			}
			return err
		}
		for _, name := range args {
			one, err := findAccount(r, name)
			if err != nil {
				return err
			}
			if !slices.Contains(ids, one.ID) {
				ids = append(ids, one.ID)
			}
		}
		return nil
	})
	return ids, err
}

func noAccount() error {
	return usageHint("add one with mailcote account add imaps://you@example.org", "there is no account yet")
}

// fromURL gives the account of a URL, and adds it when it is new. It has a
// password, at least for this run.
func (s *syncing) fromURL(ctx context.Context, a *app, st *storage.Store, e *engine.Engine,
	l engine.Login) (storage.AccountID, error) {
	move, err := a.move(ctx, st, l)
	if err != nil {
		return 0, err
	}
	n := engine.NewAccount{Login: l, Insecure: s.insecure, Move: move}
	known := false
	if err := st.Read(ctx, func(r *storage.Reader) error {
		one, err := r.AccountByIdentity(l.User, l.Host, l.Port)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		known = one.SecretRef != ""
		return err
	}); err != nil {
		return 0, err
	}
	if !known || s.given() || !l.Password.Empty() {
		if err := s.canGive(a, l, !s.once); err != nil {
			return 0, err
		}
		value, ref, err := s.get(ctx, a, l, st.Path())
		if err != nil {
			return 0, err
		}
		if ref.Kind == secret.None && !s.once {
			if ref, err = s.remember(a, st.Path(), l, value); err != nil {
				return 0, err
			}
		}
		n.Login.Password, n.Ref = value, ref
	}
	id, added, err := e.AddAccount(ctx, n)
	s.added = s.added || added
	return id, err
}

// syncNow syncs and shows the progress.
func (a *app) syncNow(ctx context.Context, e *engine.Engine, ids []storage.AccountID,
	mailboxes []string) []engine.Summary {
	display := bars.Start(a.voice, bars.Options{Snapshot: e.Progress, Plain: a.verbose})
	defer display.Stop()
	defer a.onInterrupt(ctx)()
	return e.Sync(ctx, ids, engine.SyncOptions{Mailboxes: mailboxes})
}

// unknown refuses names of mailboxes that no account has. It is called after a
// pass, when the mailboxes are listed.
func (s *syncing) unknown(ctx context.Context, st *storage.Store, ids []storage.AccountID) error {
	var have []string
	if err := st.Read(context.WithoutCancel(ctx), func(r *storage.Reader) error {
		for _, id := range ids {
			boxes, err := r.Mailboxes(id)
			if err != nil {
				return err
			}
			for _, b := range boxes {
				have = append(have, b.Path)
			}
		}
		return nil
	}); err != nil || len(have) == 0 {
		return err
	}
	for _, name := range s.mailboxes {
		if !slices.Contains(have, name) {
			return usagef("unknown mailbox %q: there are %s", name, strings.Join(have[:min(len(have), 10)], ", "))
		}
	}
	return nil
}

// onInterrupt prints a note when ctx ends before end is called.
func (a *app) onInterrupt(ctx context.Context) (end func()) {
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		if errors.Is(context.Cause(ctx), storage.ErrCorrupt) {
			return // not an interrupt
		}
		a.voice.Note("Finishing what is being stored; Ctrl-C again ends at once, which loses nothing.")
	})
	return func() {
		if !stop() {
			<-told
		}
	}
}

// report prints the summaries. Its error has their common status.
func (a *app) report(all []engine.Summary) error {
	interrupted := false
	for _, s := range all {
		if failed := viewFailed(s); a.json && failed != nil {
			if err := a.voice.JSON(*failed); err != nil {
				return err
			}
		}
	}
	for _, s := range all {
		interrupted = interrupted || s.Interrupted
		if err := a.summary(s); err != nil {
			return err
		}
	}
	if interrupted {
		a.voice.Note("Interrupted. What was fetched is kept; mailcote sync continues.")
	}
	if status := combined(all); status != Done {
		return &ended{status}
	}
	return nil
}

// summaryView is how the sync of one account ended, in JSON.
type summaryView struct {
	Type        string        `json:"type"`        // always "summary"
	Account     string        `json:"account"`     // its name
	Mailboxes   int           `json:"mailboxes"`   // how many are synced
	Fetched     int64         `json:"fetched"`     // messages that came
	Bytes       int64         `json:"bytes"`       // of those messages
	Quarantined int           `json:"quarantined"` // messages that the server does not deliver
	Seconds     answer.Number `json:"seconds"`     // that it took
	Result      string        `json:"result"`      // complete, partial or failed
	Class       answer.Text   `json:"class"`       // of the fault that ended it early
	Detail      answer.Text   `json:"detail"`      // why it is not complete
	NextStep    answer.Text   `json:"next_step"`   // what can be done
	RetryAt     answer.Time   `json:"retry_at"`    // when the next try is made or allowed; null: nothing is known
	// until all mail was readable; seconds has the search index too
	Readable answer.Number `json:"readable_seconds"`
	Wire     int64         `json:"wire_bytes"` // read from the server, below TLS
	Gone     int64         `json:"gone"`       // messages that the server no longer has
	Flags    int64         `json:"flags"`      // messages whose flags changed
}

func viewSummary(s engine.Summary) summaryView {
	return summaryView{"summary", s.Account, s.Mailboxes, s.Fetched, s.Bytes, s.Quarantined, answer.Number(s.Seconds),
		s.Result, answer.Text(s.Class), answer.Text(s.Detail), answer.Text(s.NextStep), answer.At(s.RetryAt),
		answer.Number(s.Readable), s.Wire, s.Gone, s.Flags}
}

// viewFailed is the error that ended the sync of an account; nil: none did.
func viewFailed(s engine.Summary) *errorView {
	if s.Class == "" || s.Interrupted {
		return nil
	}
	return &errorView{"error", string(s.Class), cmp.Or(s.Detail, s.Result), answer.Text(s.NextStep),
		answer.At(s.RetryAt), answer.Text(s.Account)}
}

// summary prints on stdout how one account ended, and on stderr why it is not
// complete.
func (a *app) summary(s engine.Summary) error {
	if a.json {
		return a.voice.JSON(viewSummary(s))
	}
	name := voice.Line(s.Account)
	if !a.voice.Quiet && s.Result != engine.Failed {
		text := fmt.Sprintf("%s, %s, %s in %s", s.Result,
			format.Plural(int64(s.Mailboxes), "mailbox", "mailboxes"),
			format.Did(s.Fetched, s.Bytes, s.Gone, s.Flags), format.Seconds(s.Seconds))
		lines := a.voice.Wrap(name+": ", 2, text)
		lines[0] = a.voice.Strong(name) + strings.TrimPrefix(lines[0], name)
		if err := a.voice.Say("%s", strings.Join(lines, "\n")); err != nil {
			return err
		}
	}
	if s.Result != engine.Complete && !s.Interrupted {
		a.voice.Fail(usagef("%s: %s", s.Account, joined(s.Result+after(classOf(s)+": ", s.Detail), s.NextStep)))
	}
	return nil
}

func classOf(s engine.Summary) string {
	if s.Class == "" {
		return ""
	}
	return " (" + string(s.Class) + ")"
}
