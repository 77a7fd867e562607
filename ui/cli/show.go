package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine/message"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// copyView is one place a message is in.
type copyView struct {
	Account string      `json:"account"`
	Mailbox string      `json:"mailbox"`
	UID     storage.UID `json:"uid"`
	Flags   []string    `json:"flags"`
}

// messageView is `show --json`.
type messageView struct {
	Type    string       `json:"type"` // message
	ID      string       `json:"id"`
	Size    int64        `json:"size"`
	Copies  []copyView   `json:"copies"`
	HasBody bool         `json:"has_body"`
	View    message.View `json:"view"`
}

func (a *app) show() *cobra.Command {
	var raw bool
	c := &cobra.Command{
		Use: "show ID", Short: "Print one message", Args: exactly(1, "ID"),
		Long: `Print one message: its headers, its text and what is attached. IDs are what
search prints.`,
		Example: `  mailcote show ID
  mailcote show ID --raw > message.eml`,
		RunE: func(c *cobra.Command, args []string) error {
			id := storage.EmailID(args[0])
			switch {
			case raw && a.json:
				return usagef("--raw and --json exclude each other: give one")
			case raw && a.voice.OutTTY: // what a sender wrote would act on the terminal
				return usagef("--raw prints bytes that a terminal would obey: write them to a file, mailcote show ID " +
					"--raw > message.eml")
			}
			err := a.reading(c.Context(), func(s *storage.Store) error {
				if raw {
					return view.Raw(c.Context(), s, id, a.voice.Out())
				}
				m, err := view.Read(c.Context(), s, id)
				if err != nil {
					return err
				}
				if a.json {
					return a.voice.JSON(viewMessage(id, m))
				}
				return a.printMessage(m)
			})
			if errors.Is(err, storage.ErrNotFound) {
				return usagef("no message %s: mailcote search prints the IDs", typed(args[0]))
			}
			return err
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "print the exact bytes, nothing escaped")
	return c
}

func viewMessage(id storage.EmailID, m view.Message) messageView {
	v := messageView{Type: "message", ID: string(id), Size: m.Copies[0].Size, HasBody: m.HasBody, View: m.View}
	for _, one := range m.Copies {
		v.Copies = append(v.Copies, copyView{one.AccountName, one.MailboxPath, one.UID,
			strings.Fields(string(one.Flags))})
	}
	return v
}

func (a *app) printMessage(m view.Message) error {
	v := m.View
	var places []string
	for _, one := range m.Copies {
		places = append(places, one.AccountName+" "+one.MailboxPath)
	}
	date := v.SentDate
	if date.IsZero() {
		date = m.Copies[0].Date
	}
	lines := [][2]string{{"From", addresses(v.From)}, {"Reply-To", addresses(v.ReplyTo)}, {"To", addresses(v.To)},
		{"Cc", addresses(v.Cc)},
		{"Date", date.Local().Format("Mon, 2 Jan 2006 15:04 -0700")}, {"Subject", v.Subject},
		{"In", strings.Join(places, ", ")},
		{"Flags", string(m.Copies[0].Flags)}, {"Note", m.Note()}}
	if err := a.pairs(lines); err != nil {
		return err
	}
	if err := a.voice.Say("\n%s", voice.Text(strings.TrimRight(v.Text, "\n"))); err != nil || len(v.Attachments) == 0 {
		return err
	}
	if err := a.voice.Say(""); err != nil {
		return err
	}
	for _, one := range v.Attachments {
		name := one.Name
		if name == "" {
			name = "(no name)"
		}
		if err := a.voice.Say("Attachment: %s  %s", voice.Line(name),
			a.voice.Faint(voice.Line(one.Type)+", "+format.Octets(one.Size))); err != nil {
			return err
		}
	}
	return nil
}

func addresses(all []message.Address) string {
	var out []string
	for _, one := range all {
		if one.Name == "" {
			out = append(out, one.Email)
		} else {
			out = append(out, one.Name+" <"+one.Email+">")
		}
	}
	return strings.Join(out, ", ")
}
