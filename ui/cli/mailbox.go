package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// mailboxView is a mailbox in JSON.
type mailboxView struct {
	Type      string      `json:"type"`            // always "mailbox"
	Account   string      `json:"account"`         // the name of its account
	Path      string      `json:"path"`            // its whole name
	Role      answer.Text `json:"role"`            // inbox, sent and the like (RFC 8621)
	Messages  int64       `json:"messages"`        // how many are here
	Remote    int64       `json:"remote_messages"` // how many the server says it has
	Unread    int64       `json:"unread"`          // of those here
	Sync      bool        `json:"sync"`            // false: a person left it out
	Refused   answer.Text `json:"not_readable"`    // the server's words when it would not open it; null: it does
	RefusedAt answer.Time `json:"not_readable_at"` // when it said so
	Completed answer.Time `json:"completed_at"`    // when it was last complete; null: never
	// by how many messages the server always counts more than it lists; less
	// than 0: fewer
	Excess int64 `json:"counted_and_not_listed"`
	note   string
}

func viewMailbox(of storage.Account, m storage.Mailbox) mailboxView {
	b := view.MailboxOf(m)
	return mailboxView{Type: "mailbox", Account: of.Name, Path: b.Path, Role: answer.Text(b.Role), Messages: b.Stored,
		Remote: b.Total, Unread: b.Unread, Sync: !b.LeftOut, Refused: answer.Text(b.Refused),
		RefusedAt: answer.At(b.AskedAt), Completed: answer.At(b.Ended), Excess: b.Excess, note: b.Note()}
}

func viewMailboxes(r *storage.Reader, of storage.Account) ([]mailboxView, error) {
	boxes, err := r.Mailboxes(of.ID)
	all := make([]mailboxView, 0, len(boxes))
	for _, b := range boxes {
		all = append(all, viewMailbox(of, b))
	}
	return all, err
}

// mailboxHead is the head of a table of mailboxes.
func mailboxHead() []string {
	return []string{"MAILBOX", "ROLE", "MESSAGES", "ON SERVER", "UNREAD", "NOTE"}
}

func mailboxLayout() voice.Layout {
	return voice.Layout{Flexible: []int{0, 5}, Spare: []int{1, 4, 3}}
}

func (v mailboxView) row() []string {
	return []string{v.Path, string(v.Role), format.Count(v.Messages), format.Count(v.Remote), format.Count(v.Unread),
		v.note}
}

func (a *app) mailbox() *cobra.Command {
	c := &cobra.Command{
		Use: "mailbox COMMAND", Short: "List the mailboxes of an account and choose which are synced",
		Example: "  mailcote mailbox list you@example.org\n" +
			"  mailcote mailbox set you@example.org Archive/2009 --sync off",
		Args: cobra.ArbitraryArgs, RunE: group,
	}
	c.AddCommand(a.mailboxList(), a.mailboxSet())
	return c
}

func (a *app) mailboxList() *cobra.Command {
	return &cobra.Command{
		Use: "list ACCOUNT", Short: "List the mailboxes of an account", Args: exactly(1, "ACCOUNT"),
		Long: `List the mailboxes of an account. The note says which are left out, and which
the server does not let the account read: those are asked for once a day, and
by sync --mailbox.`,
		Example:           "  mailcote mailbox list you@example.org\n  mailcote mailbox list work --json",
		ValidArgsFunction: a.completeAccounts(1),
		RunE: func(c *cobra.Command, args []string) error {
			var all []mailboxView
			if err := a.read(c.Context(), func(r *storage.Reader) error {
				one, err := findAccount(r, args[0])
				if err != nil {
					return err
				}
				all, err = viewMailboxes(r, one)
				return err
			}); err != nil {
				return err
			}
			if a.json {
				return each(all, a.voice.JSON)
			}
			if len(all) == 0 {
				a.voice.Note("No mailbox is known yet: mailcote sync %s", voice.Line(view.ShellWord(args[0])))
				return nil
			}
			var rows [][]string
			for _, v := range all {
				rows = append(rows, v.row())
			}
			return a.voice.Table(mailboxHead(), rows, mailboxLayout())
		},
	}
}

func (a *app) mailboxSet() *cobra.Command {
	var sync string
	c := &cobra.Command{
		Use: "set ACCOUNT MAILBOX", Short: "Leave a mailbox out of the sync, or take it in again",
		Args: exactly(2, "ACCOUNT or MAILBOX"),
		Long: `Leave a mailbox out of the sync, or take it in again. MAILBOX is its whole name
as mailcote mailbox list shows it. Of one that is left out the server is asked
nothing; its mail stays and can be read, and the account is complete without
it. One that is taken in goes on from what is here.`,
		Example: "  mailcote mailbox set you@example.org Archive/2009 --sync off\n" +
			"  mailcote mailbox set work INBOX --sync on",
		ValidArgsFunction: a.completeMailbox(),
		RunE: func(c *cobra.Command, args []string) error {
			if sync != "on" && sync != "off" {
				return usagef("--sync is on or off: %s --sync on|off", c.UseLine())
			}
			return a.setMailbox(c.Context(), args[0], args[1], sync == "on")
		},
	}
	c.Flags().StringVar(&sync, "sync", "", "`on` or off")
	flagged(c, "sync", oneOf("on", "off"))
	return c
}

func (a *app) setMailbox(ctx context.Context, account, path string, on bool) error {
	var of storage.Account
	var m storage.Mailbox
	if err := a.read(ctx, func(r *storage.Reader) (err error) {
		if of, err = findAccount(r, account); err == nil {
			m, err = findMailbox(r, of, path)
		}
		return err
	}); err != nil {
		return err
	}
	if err := a.owning(ctx, "mailcote mailbox set", func(st *storage.Store, e *engine.Engine) error {
		return errors.Join(e.SetSynced(ctx, of.ID, m.ID, on), st.Read(ctx, func(r *storage.Reader) (err error) {
			m, err = r.Mailbox(m.ID)
			return err
		}))
	}); err != nil {
		return err
	}
	v := viewMailbox(of, m)
	if a.json {
		return a.voice.JSON(v)
	}
	words := v.note
	if v.Sync {
		words = "synced" + after(", ", v.note)
	}
	return a.voice.Say("%s: %s", a.voice.Strong(voice.Line(v.Path)), voice.Line(words))
}

// findMailbox finds a mailbox of an account by its whole name. INBOX may be
// written in any case. An unknown one is a usage error.
func findMailbox(r *storage.Reader, of storage.Account, path string) (storage.Mailbox, error) {
	all, err := r.Mailboxes(of.ID)
	if err != nil {
		return storage.Mailbox{}, err
	}
	for _, m := range all {
		if m.Path == path {
			return m, nil
		}
	}
	for _, m := range all {
		if m.Path == "INBOX" && strings.EqualFold(path, m.Path) {
			return m, nil
		}
	}
	return storage.Mailbox{}, usageHint("mailcote mailbox list "+view.ShellWord(of.Name)+" shows their names",
		"unknown mailbox %s", typed(path))
}
