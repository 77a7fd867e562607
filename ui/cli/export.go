package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine/export"
	"mailcote/storage"
	"mailcote/storage/query"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// exportView is what an export did, in JSON.
type exportView struct {
	Type      string        `json:"type"`             // always "export"
	Format    string        `json:"format"`           // mbox, maildir, eml or jsonl
	Out       string        `json:"out"`              // the directory
	Result    string        `json:"result"`           // complete or partial
	Accounts  int           `json:"accounts"`         // how many were looked at
	Mailboxes int           `json:"mailboxes"`        // how many have a file or a directory
	Written   int64         `json:"written"`          // messages, this time
	Already   int64         `json:"already"`          // messages that an earlier run wrote
	Bytes     int64         `json:"bytes"`            // written this time
	Missing   int64         `json:"missing"`          // messages whose body is not fetched
	Later     int64         `json:"later"`            // messages that came after their file was finished
	Damaged   int64         `json:"damaged"`          // messages that the store cannot read
	Dropped   int64         `json:"keywords_dropped"` // messages that lost a keyword
	Seconds   answer.Number `json:"seconds"`          // that it took
}

func (a *app) export() *cobra.Command {
	var kind, out, account string
	var ids []string
	c := &cobra.Command{
		Use:   "export --format mbox|maildir|eml|jsonl --out DIR [QUERY]",
		Short: "Write mail into files of other programs",
		Long: `Write mail into files that other programs read: all of it, or every copy of what
a search finds, or of the messages that --id names. DIR is made, or is empty, or
holds the same export, which then goes on; nothing that is there is overwritten.
A running mailcote goes on meanwhile. Each account has a directory:

  mbox     one file a mailbox (mboxrd), flags in Status, X-Status, X-Keywords
  maildir  a Maildir++ as Dovecot has it, flags in the names, keywords in
           dovecot-keywords
  eml      one file a message, the bytes the server sent; no flags
  jsonl    one JSON object a message, "raw" is its bytes in base64

Messages whose body is not fetched are counted, and the status is 3 then.`,
		Example: `  mailcote export --format maildir --out ~/leave
  mailcote export --format mbox --out ~/invoices invoice from:shop
  mailcote export --format eml --account work --out ~/work
  mailcote export --format eml --id ID --id ID --out ~/two`,
		RunE: func(c *cobra.Command, args []string) error {
			o, err := exportOptions(kind, out, strings.Join(args, " "))
			if err != nil {
				return err
			}
			if len(ids) > 0 && (o.Query != nil || account != "") {
				return usagef("--id names messages, so it goes with no query and no --account: leave them out")
			}
			o.Progress = a.following("Exported", " messages")
			began := time.Now()
			var r export.Result
			err = a.reading(c.Context(), func(s *storage.Store) (err error) {
				if err := a.chooseMail(c.Context(), s, account, ids, &o); err != nil {
					return err
				}
				r, err = export.Run(c.Context(), s, o)
				return err
			})
			a.ended()
			if err != nil {
				return exportRefused(o.Dir, err)
			}
			return a.exported(o, r, time.Since(began))
		},
	}
	c.Flags().StringVar(&kind, "format", "", "write as `FORMAT`: mbox, maildir, eml or jsonl")
	flagged(c, "format", oneOf(string(export.Mbox), string(export.Maildir), string(export.EML), string(export.JSONL)))
	c.Flags().StringVar(&out, "out", "", "the directory `DIR` for the files")
	c.Flags().StringVar(&account, "account", "", "only this `ACCOUNT`")
	c.Flags().StringArrayVar(&ids, "id", nil, "only the message `ID`, as show takes it (may be repeated)")
	flagged(c, "id", a.completeMessage())
	return c
}

// chooseMail finds the account and the messages that are named, and says which
// names in the query mean nothing.
func (a *app) chooseMail(ctx context.Context, s *storage.Store, account string, ids []string,
	o *export.Options) error {
	var hints []string
	if err := s.Read(ctx, func(r *storage.Reader) error {
		if account != "" {
			one, err := findAccount(r, account)
			if err != nil {
				return err
			}
			o.Account = one.ID
		}
		o.Emails = nil
		for _, id := range ids {
			row, err := findMessage(r, id)
			if err != nil {
				return err
			}
			o.Emails = append(o.Emails, row)
		}
		if o.Query == nil {
			return nil
		}
		unknown, err := r.UnknownNames(*o.Query)
		hints = slices.Concat(o.Query.Hints, unknown)
		return err
	}); err != nil {
		return err
	}
	for _, hint := range hints {
		a.voice.Note("%s", voice.Line(hint))
	}
	return nil
}

// findMessage finds a message by its id, as show does.
func findMessage(r *storage.Reader, id string) (storage.EmailRow, error) {
	row, _, err := r.FindEmail(id)
	if err == nil {
		var copies []storage.Mail
		if copies, err = r.MailOf(row); err == nil && len(copies) == 0 {
			err = storage.ErrNotFound
		}
	}
	if errors.Is(err, storage.ErrNotFound) {
		return 0, noMessage(id)
	}
	return row, err
}

func exportOptions(kind, out, text string) (o export.Options, err error) {
	o = export.Options{Format: export.Format(strings.ToLower(kind)), Text: text}
	if !slices.Contains(export.Formats(), o.Format) {
		if kind == "" {
			return o, usagef("--format is missing: mbox, maildir, eml or jsonl")
		}
		return o, usagef("--format %s is unknown: mbox, maildir, eml or jsonl", typed(kind))
	}
	if out == "" {
		return o, usagef("--out is missing: name a directory for the files")
	}
	if o.Dir, err = filepath.Abs(out); err != nil {
		return o, usagef("%s: %s", typed(out), err)
	}
	if info, err := os.Stat(o.Dir); err == nil && !info.IsDir() {
		return o, usagef("%s is no directory: name a new one with --out", typed(o.Dir))
	}
	if strings.TrimSpace(text) != "" {
		q, err := query.Parse(text, time.Local)
		if err != nil {
			return o, err
		}
		o.Query = &q
	}
	return o, nil
}

// exportRefused says what to do about a directory that cannot be used.
func exportRefused(dir string, err error) error {
	switch {
	case errors.Is(err, export.ErrOccupied), errors.Is(err, export.ErrOther):
		return usagef("%s: name a new directory with --out", err)
	case errors.Is(err, export.ErrBusy):
		return &failure{Temporary, err}
	case errors.Is(err, export.ErrInTheWay):
		return fmt.Errorf("%w: move it out of %s and try again", err, dir)
	}
	return err
}

// exported says what was done.
func (a *app) exported(o export.Options, r export.Result, took time.Duration) error {
	v := exportView{Type: "export", Format: string(o.Format), Out: o.Dir, Result: "complete", Accounts: r.Accounts,
		Mailboxes: r.Mailboxes, Written: r.Written, Already: r.Already, Bytes: r.Bytes, Missing: r.Missing,
		Later: r.Later, Damaged: int64(len(r.Damaged)) + r.Unread, Dropped: r.Dropped,
		Seconds: answer.Number(took.Seconds())}
	if !r.Whole() {
		v.Result = "partial"
	}
	if a.json {
		if err := a.voice.JSON(v); err != nil {
			return err
		}
	}
	already := ""
	if r.Already > 0 {
		already = ", and " + format.Plural(r.Already, "was", "were") + " there already"
	}
	a.voice.Note("Exported %s (%s) of %s into %s%s.", format.Plural(r.Written, "message", "messages"),
		format.Octets(r.Bytes), format.Plural(int64(r.Mailboxes), "mailbox", "mailboxes"), voice.Line(o.Dir), already)
	if r.Dropped > 0 {
		a.voice.Warn("%s lost a keyword: a Maildir has room for 26 in a mailbox; jsonl keeps all",
			format.Plural(r.Dropped, "message", "messages"))
	}
	if r.Whole() {
		return nil
	}
	if r.Missing > 0 {
		a.voice.Warn("%s not fetched, so these messages are not exported: mailcote sync, then export into "+
			"a new directory", format.Plural(r.Missing, "body is", "bodies are"))
	}
	if r.Later > 0 {
		a.voice.Warn("%s came after the file of their mailbox was finished, and %s not in it: export into "+
			"a new directory", format.Plural(r.Later, "message", "messages"),
			map[bool]string{true: "is", false: "are"}[r.Later == 1])
	}
	if r.Unread > 0 {
		a.voice.Warn("%s damaged in the store when %s exported before: mailcote check, then export into "+
			"a new directory", format.Plural(r.Unread, "message was", "messages were"),
			map[bool]string{true: "it was", false: "they were"}[r.Unread == 1])
	}
	for _, one := range r.Damaged {
		a.voice.Warn("damaged in the store, and not exported: %s of %s, UID %d (%s)", voice.Line(one.Mailbox),
			voice.Line(one.Account), one.UID, voice.Line(one.Err.Error()))
	}
	return &ended{Partly}
}
