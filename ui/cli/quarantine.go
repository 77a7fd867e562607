package cli

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/engine/fault"
	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// heldView is a quarantined message in JSON; the names are those of the view sync_quarantine.
type heldView struct {
	Type     string      `json:"type"`     // always "quarantined"
	ID       int64       `json:"id"`       // its number
	Account  string      `json:"account"`  // the name of its account
	Mailbox  string      `json:"mailbox"`  // the mailbox that lists it
	UID      uint32      `json:"uid"`      // its UID there
	Reason   string      `json:"reason"`   // what the server did instead of delivering it
	Attempts int         `json:"attempts"` // tries until now
	Received int64       `json:"received"` // bytes that came in the best of them
	Claimed  *int64      `json:"claimed"`  // bytes that the server says it has; null: it says nothing
	First    answer.Time `json:"first_at"` // the first try
	Last     answer.Time `json:"last_at"`  // the last one
	Next     answer.Time `json:"next_at"`  // the next one
	Asked    bool        `json:"asked"`    // a person wants it tried at the next pass
}

func viewHeld(q storage.Quarantined, account string) heldView {
	v := heldView{"quarantined", q.ID, account, q.Path, uint32(q.UID), q.Reason, q.Attempts, q.Received, nil,
		answer.At(q.FirstAt), answer.At(q.LastAt), answer.At(engine.NextTry(q)), q.Asked}
	if q.Claimed >= 0 {
		v.Claimed = &q.Claimed
	}
	return v
}

// came is how much of the message arrived in its best try.
func (v heldView) came() string {
	came := format.Octets(v.Received)
	if v.Claimed != nil {
		came += " of " + format.Octets(*v.Claimed)
	}
	return came
}

// printHeld prints a quarantined message on a terminal, where a table would not
// fit.
func (a *app) printHeld(v heldView) error {
	if err := a.voice.Para("", fmt.Sprintf("%d  %s UID %d", v.ID, v.Account+" "+v.Mailbox, v.UID)); err != nil {
		return err
	}
	return errors.Join(
		a.voice.Para("  ", fmt.Sprintf("%s, %s came; last %s, next %s",
			format.Plural(int64(v.Attempts), "try", "tries"), v.came(), moment(v.Last), moment(v.Next))),
		a.voice.Para("  ", v.Reason))
}

// held lists the quarantined messages of an account, or of all when account is
// "", and gives the names of accounts.
func (a *app) held(ctx context.Context,
	account string) (all []storage.Quarantined, names map[storage.AccountID]string, err error) {
	names = map[storage.AccountID]string{}
	err = a.read(ctx, func(r *storage.Reader) error {
		accounts, err := r.Accounts()
		if err == nil && account != "" {
			var one storage.Account
			one, err = findAccount(r, account)
			accounts = []storage.Account{one}
		}
		if err != nil {
			return err
		}
		for _, one := range accounts {
			some, err := r.QuarantineOf(one.ID)
			if err != nil {
				return err
			}
			names[one.ID], all = one.Name, append(all, some...)
		}
		return nil
	})
	return all, names, err
}

// find gives the message with an ID.
func find(all []storage.Quarantined, arg string) (storage.Quarantined, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	i := slices.IndexFunc(all, func(q storage.Quarantined) bool { return q.ID == id })
	if err != nil || i < 0 {
		return storage.Quarantined{}, usageHint("mailcote errors quarantine lists them",
			"%s is no message in quarantine", typed(arg))
	}
	return all[i], nil
}

func (a *app) quarantine() *cobra.Command {
	var account string
	c := &cobra.Command{
		Use: "quarantine", Short: "List the messages the server does not deliver", Args: exactly(0, ""),
		Long: `List the messages that the server lists and does not deliver whole. Each was
asked for alone and in parts. Everything else arrives. They are tried again
with growing delay, and whenever you sync.`,
		Example: "  mailcote errors quarantine\n  mailcote errors quarantine --account you@example.org --json",
		RunE: func(c *cobra.Command, _ []string) error {
			all, names, err := a.held(c.Context(), account)
			if err != nil {
				return err
			}
			var views []heldView
			for _, q := range all {
				views = append(views, viewHeld(q, names[q.Account]))
			}
			if a.json {
				return each(views, a.voice.JSON)
			}
			if len(views) == 0 {
				a.voice.Note("No message is in quarantine.")
				return nil
			}
			if a.voice.OutTTY {
				for _, v := range views {
					if err := a.printHeld(v); err != nil {
						return err
					}
				}
				return nil
			}
			var rows [][]string
			for _, v := range views {
				rows = append(rows, []string{strconv.FormatInt(v.ID, 10), v.Account, v.Mailbox,
					strconv.FormatUint(uint64(v.UID), 10),
					strconv.Itoa(v.Attempts), v.came(), moment(v.Last), moment(v.Next), v.Reason})
			}
			return a.voice.Table([]string{"ID", "ACCOUNT", "MAILBOX", "UID", "TRIES", "CAME", "LAST TRY", "NEXT TRY",
				"WHY"}, rows, voice.Layout{})
		},
	}
	c.Flags().StringVar(&account, "account", "", "the messages of this `ACCOUNT`")
	return c
}

func (a *app) retryQuarantined() *cobra.Command {
	var account string
	var every bool
	c := &cobra.Command{
		Use: "retry ID…", Short: "Try messages in quarantine again", Args: cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeQuarantined(false),
		Long: `Have messages in quarantine tried at the next pass, ahead of their time. The
next sync or run does the work; the queue shows it.`,
		Example: `  mailcote errors retry 3 4
  mailcote errors retry --account you@example.org
  mailcote errors retry --all`,
		RunE: func(c *cobra.Command, args []string) error {
			ways := 0
			for _, way := range []bool{len(args) > 0, account != "", every} {
				if way {
					ways++
				}
			}
			if ways != 1 {
				return usagef("which messages? give their ID, --account or --all: see %s --help", c.CommandPath())
			}
			all, names, err := a.held(c.Context(), account)
			if err != nil {
				return err
			}
			chosen := all
			if len(args) > 0 {
				chosen = nil
			}
			for _, arg := range args {
				q, err := find(all, arg)
				if err != nil {
					return err
				}
				chosen = append(chosen, q)
			}
			if len(chosen) == 0 {
				a.voice.Note("No message is in quarantine.")
				return nil
			}
			if err := a.owning(c.Context(), "mailcote errors retry", func(_ *storage.Store, e *engine.Engine) error {
				return e.RetryQuarantined(c.Context(), chosen)
			}); err != nil {
				return err
			}
			for _, q := range chosen {
				q.Asked = true
				v := viewHeld(q, names[q.Account])
				if a.json {
					err = a.voice.JSON(v)
				} else {
					err = a.voice.Say("%d  %s UID %d is tried at the next pass", v.ID,
						voice.Line(v.Account+" "+v.Mailbox), v.UID)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&account, "account", "", "the messages of this `ACCOUNT`")
	c.Flags().BoolVar(&every, "all", false, "every message in quarantine")
	return c
}

// rawView is `errors raw` in JSON.
type rawView struct {
	Type    string      `json:"type"`    // always "raw"
	ID      int64       `json:"id"`      // the message's number in quarantine
	File    string      `json:"file"`    // what was written
	Bytes   int64       `json:"bytes"`   // how much of the message is in it
	Claimed *int64      `json:"claimed"` // bytes that the server says it has; null: it says nothing
	SHA256  string      `json:"sha256"`  // of the file, in hex
	Whole   bool        `json:"whole"`   // the message came to its end
	Kept    bool        `json:"kept"`    // it is from an earlier try
	Why     answer.Text `json:"why"`     // why it is not whole
}

// rewound is a file that the first write empties.
type rewound struct {
	file *os.File
	done bool
}

func (r *rewound) Write(p []byte) (int, error) {
	if !r.done {
		if _, err := r.file.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		if err := r.file.Truncate(0); err != nil {
			return 0, err
		}
		r.done = true
	}
	return r.file.Write(p)
}

func (a *app) raw() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "raw ID --out FILE", Short: "Download what the server will give of a message in quarantine",
		Args: exactly(1, "ID"),
		Long: `Write to a new file whatever the server will give of a message in quarantine,
in parts or as it comes, and say how much that is. When an earlier try brought
more, that is written. No mail in the store changes. The exit status is 0 when
it came to its end and 3 when only a part did.`,
		Example: "  mailcote errors raw 3 --out message.eml", ValidArgsFunction: a.completeQuarantined(true),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if path == "" {
				return usagef("--out is missing: name a file that does not exist yet, %s", c.UseLine())
			}
			all, _, err := a.held(c.Context(), "")
			if err != nil {
				return err
			}
			q, err := find(all, args[0])
			if err != nil {
				return err
			}
			v := rawView{Type: "raw", ID: q.ID, File: path}
			if err := a.owning(c.Context(), "mailcote errors raw", func(_ *storage.Store, e *engine.Engine) error {
				out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if errors.Is(err, fs.ErrExist) {
					return usagef("%s is there already: name a file that does not exist yet", typed(path))
				}
				if err != nil {
					return fmt.Errorf("make %s: %w", path, err)
				}
				report, err := e.Raw(c.Context(), q, out)
				if err != nil || !report.Whole {
					kept, failed := e.Came(c.Context(), q, report.Got, &rewound{file: out})
					switch {
					case failed == nil:
						kept.Why = cmp.Or(err, report.Why)
						report, err, v.Kept = kept, nil, true
					case !errors.Is(failed, storage.ErrNotFound):
						err = errors.Join(err, failed)
					}
				}
				if err = errors.Join(err, out.Close()); err != nil && report.Got == 0 {
					var f fault.Fault
					if errors.As(err, &f) {
						err = &failure{statusOfClass(f.Class), err}
					}
					return errors.Join(err, os.Remove(path))
				}
				v.Bytes, v.SHA256, v.Whole = report.Got, hex.EncodeToString(report.SHA256[:]), report.Whole &&
					err == nil
				if report.Claimed >= 0 {
					v.Claimed = &report.Claimed
				}
				if err = cmp.Or(err, report.Why); err != nil {
					v.Why = answer.Text(err.Error())
				}
				return nil
			}); err != nil {
				return err
			}
			return a.printRaw(v)
		},
	}
	c.Flags().StringVar(&path, "out", "", "the `FILE` to write; it must not exist")
	return c
}

func (a *app) printRaw(v rawView) error {
	came := format.Plural(v.Bytes, "byte", "bytes")
	if v.Claimed != nil {
		came += " of " + format.Count(*v.Claimed)
	}
	var err error
	if a.json {
		err = a.voice.JSON(v)
	} else {
		err = a.voice.Say("%s in %s, SHA-256 %s", came, voice.Line(v.File), v.SHA256)
	}
	if err != nil || v.Whole {
		return err
	}
	if v.Kept {
		a.voice.Note("That came in an earlier try; now the server gives less.")
	}
	a.voice.Warn("The message did not come to its end: %s", voice.Line(string(v.Why)))
	return &ended{Partly}
}
