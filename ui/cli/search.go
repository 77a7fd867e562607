package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/storage"
	"mailcote/storage/query"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// hitView is one found message in JSON.
type hitView struct {
	Type       string      `json:"type"`           // always "hit"
	ID         string      `json:"id"`             // what show takes
	Account    string      `json:"account"`        // the name of its account
	Mailbox    string      `json:"mailbox"`        // a mailbox that it is in
	UID        storage.UID `json:"uid"`            // its UID there
	Date       answer.Time `json:"date"`           // when it arrived
	Sender     string      `json:"sender"`         // names and addresses
	Recipients string      `json:"recipients"`     // names and addresses
	Subject    string      `json:"subject"`        // decoded
	Preview    string      `json:"preview"`        // the beginning of its text
	Flags      []string    `json:"flags"`          // IMAP flags and keywords
	Size       int64       `json:"size"`           // of the raw message
	Attachment bool        `json:"has_attachment"` // something is attached
}

func viewHit(m storage.Mail) hitView {
	return hitView{"hit", string(m.ID), m.AccountName, m.MailboxPath, m.UID, answer.At(m.Date), m.Sender, m.Recipients,
		m.Subject, m.Preview,
		strings.Fields(string(m.Flags)), m.Size, m.HasAttachment}
}

func (a *app) search() *cobra.Command {
	var limit int
	var account string
	c := &cobra.Command{
		Use: "search QUERY", Short: "Find messages",
		Long: `Find messages, newest first. Every clause must hold:

  word  wor*  "a phrase"       in subject, people, text or attachment names
  from:x  to:x  subject:x      there only
  before:2026-03-01  after:2026-03-01
  is:unread  is:read  is:flagged
  -clause                      the opposite; write -- before the query then`,
		Example: `  mailcote search invoice from:anna after:2026-01-01
  mailcote search '"quarterly report"' is:unread
  mailcote search --limit 5 --json -- invoice -from:shop`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("what to search for is missing: %s", c.UseLine())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			q, err := query.Parse(strings.Join(args, " "), time.Local)
			if err != nil {
				return err
			}
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			var found []storage.Mail
			var counts storage.Counts
			if err := a.read(c.Context(), func(r *storage.Reader) error {
				var in storage.AccountID
				if account != "" {
					one, err := findAccount(r, account)
					if err != nil {
						return err
					}
					in = one.ID
				}
				if found, err = r.Search(q, in, limit); err != nil {
					return err
				}
				counts, err = r.Count()
				return err
			}); err != nil {
				return err
			}
			return a.printHits(found, limit, counts.Unindexed)
		},
	}
	c.Flags().IntVar(&limit, "limit", 50, "at most this many")
	c.Flags().StringVar(&account, "account", "", "only in this `ACCOUNT`")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usagef("%s: to exclude a word, write -- before the query: mailcote search -- invoice -shop",
			strings.TrimSpace(err.Error()))
	})
	return c
}

func (a *app) printHits(found []storage.Mail, limit int, unindexed int64) error {
	if unindexed > 0 {
		a.voice.Note("%s not searchable yet: mailcote sync finishes that.",
			format.Plural(unindexed, "message is", "messages are"))
	}
	if a.json {
		for _, m := range found {
			if err := a.voice.JSON(viewHit(m)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(found) == 0 {
		a.voice.Note("Nothing found.")
		return nil
	}
	var rows [][]string
	for _, m := range found {
		from := m.Sender
		if a.voice.OutTTY { // room is short there, and show has the address
			from = view.Names(from)
		}
		rows = append(rows, []string{format.Moment(m.Date), from, m.Subject, m.MailboxPath, a.tableID(m.ID)})
	}
	if err := a.voice.Table([]string{"DATE", "FROM", "SUBJECT", "MAILBOX", "ID"}, rows,
		voice.Layout{Flexible: []int{1, 2, 3}, Spare: []int{3}, Roomy: []int{2}}); err != nil {
		return err
	}
	if len(found) == limit {
		a.voice.Note("There may be more: --limit %d shows them.", 4*limit)
	}
	return nil
}
