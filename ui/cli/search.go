package cli

import (
	"context"
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
	Type string `json:"type"` // always "hit"
	shownMail
	Snippet *snippetView `json:"snippet"` // null: no word of the query is in the text
	Total   int64        `json:"total"`   // messages that match, whatever the limit
}

// shownMail is a message in a list.
type shownMail struct {
	ID         string      `json:"id"`             // what show takes
	Account    string      `json:"account"`        // the name of its account
	Mailbox    string      `json:"mailbox"`        // a mailbox that it is in
	UID        storage.UID `json:"uid"`            // its UID there
	Date       answer.Time `json:"date"`           // when it arrived at the server
	Sender     answer.Text `json:"sender"`         // names and addresses
	Recipients answer.Text `json:"recipients"`     // names and addresses
	Subject    answer.Text `json:"subject"`        // decoded
	Preview    answer.Text `json:"preview"`        // the beginning of its text; null: it has none, or is not here yet
	Flags      []string    `json:"flags"`          // IMAP flags and keywords
	Size       int64       `json:"size"`           // of the raw message
	Attachment bool        `json:"has_attachment"` // something is attached
}

func showMail(m storage.Mail) shownMail {
	return shownMail{string(m.ID), m.AccountName, m.MailboxPath, m.UID, answer.At(m.Date), answer.Text(m.Sender),
		answer.Text(m.Recipients), answer.Text(m.Subject), answer.Text(m.Preview), strings.Fields(string(m.Flags)),
		m.Size, m.HasAttachment}
}

// snippetView is the text around what was found. A mark is where in Text, from
// a character (Unicode code point) to the one behind.
type snippetView struct {
	Type  string   `json:"type"`  // always "snippet"
	Text  string   `json:"text"`  // on one line
	Marks [][2]int `json:"marks"` // pairs: the first character of a find and the one behind it
}

func viewHit(h view.Hit, total int64) hitView {
	v := hitView{"hit", showMail(h.Mail), nil, total}
	if h.Found {
		v.Snippet = &snippetView{"snippet", h.Snippet.Text, h.Snippet.Marks}
	}
	return v
}

// searching is what the flags of search say.
type searching struct {
	limit   int
	account string
	exists  bool
	wait    time.Duration
}

func (a *app) search() *cobra.Command {
	var how searching
	c := &cobra.Command{
		Use: "search QUERY", Short: "Find messages",
		Long: `Find messages, newest first. Every clause must hold:

  word  wor*  "a phrase"       in subject, people, text or attachment names
  from:x  to:x  cc:x  bcc:x    there only; to: finds cc too
  subject:x  filename:pdf
  in:inbox  account:work       a mailbox by its name or role, an account
  has:attachment  larger:10M  smaller:500k
  is:unread  is:read  is:flagged
  before:2026-03-01  after:yesterday  after:2w
  older_than:3d  newer_than:12h          h, d, w, m (months), y
  a OR b  ( )                  either of two; clauses together
  -clause                      the opposite; write -- before the query then

The terminal shows the text around what was found. --json gives it as snippet,
with marks: pairs of the first character of a find and the one behind it.`,
		Example: `  mailcote search invoice from:anna after:2026-01-01
  mailcote search '"quarterly report" (from:anna OR from:bob) is:unread'
  mailcote search --limit 5 --json -- invoice -from:shop
  mailcote search --wait 90s 'subject:"confirm your address" newer_than:1h'`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("what to search for is missing: %s", c.UseLine())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			q, err := query.Parse(strings.Join(args, " "), time.Local)
			switch {
			case err != nil:
				return err
			case how.limit < 1:
				return usagef("--limit must be 1 or more")
			case how.wait < 0 || how.wait == 0 && c.Flags().Changed("wait"):
				return usagef("--wait takes a time such as 30s")
			}
			return a.find(c.Context(), q, how)
		},
	}
	c.Flags().IntVar(&how.limit, "limit", 50, "at most `N` messages")
	c.Flags().StringVar(&how.account, "account", "", "only in this `ACCOUNT`")
	c.Flags().BoolVar(&how.exists, "exists", false, "end with status 4 when nothing is found")
	c.Flags().DurationVar(&how.wait, "wait", 0, "wait `TIME` for a first hit, such as 30s; then as --exists")
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if !strings.Contains(err.Error(), "shorthand") { // it has two hyphens
			return flagError(c, err)
		}
		return usagef("%s: to exclude a word, write -- before the query: mailcote search -- invoice -shop",
			strings.TrimSpace(err.Error()))
	})
	return c
}

// find searches, again at each change of the store while nothing is found and
// there is time to wait.
func (a *app) find(ctx context.Context, q query.Query, how searching) error {
	for _, hint := range q.Hints {
		a.voice.Note("%s", voice.Line(hint))
	}
	return a.reading(ctx, func(s *storage.Store) error {
		until, stop := context.WithTimeout(ctx, how.wait)
		defer stop()
		for {
			var version int64
			var err error
			if how.wait > 0 {
				version, err = s.DataVersion(ctx) // before the search, so that nothing slips between
			}
			if err != nil {
				return err
			}
			found, err := a.look(ctx, s, q, how)
			if err != nil {
				return err
			}
			if how.wait > 0 && len(found.Hits) == 0 && nextVersion(until, s, version) {
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := a.printHits(found, how.limit); err != nil {
				return err
			}
			if len(found.Hits) == 0 && (how.exists || how.wait > 0) {
				return &ended{Nothing}
			}
			return nil
		}
	})
}

// look searches once.
func (a *app) look(ctx context.Context, s *storage.Store, q query.Query, how searching) (found view.Found, err error) {
	var in storage.AccountID
	if how.account != "" {
		if err := s.Read(ctx, func(r *storage.Reader) error {
			one, err := findAccount(r, how.account)
			in = one.ID
			return err
		}); err != nil {
			return found, err
		}
	}
	return view.Find(ctx, s, q, in, how.limit)
}

// nextVersion waits until another connection commits. It gives false when ctx
// ends before.
func nextVersion(ctx context.Context, s *storage.Store, last int64) bool {
	for wait(ctx, waitEvery, nil) == nil {
		if version, err := s.DataVersion(ctx); err != nil || version != last {
			return ctx.Err() == nil
		}
	}
	return false
}

// waitEvery is how often a search that waits asks whether the store changed.
const waitEvery = 250 * time.Millisecond

func (a *app) printHits(found view.Found, limit int) error {
	for _, hint := range found.Hints {
		a.voice.Note("%s", voice.Line(hint))
	}
	if found.Unindexed > 0 {
		a.voice.Note("%s not searchable yet: mailcote sync finishes that.",
			format.Plural(found.Unindexed, "message is", "messages are"))
	}
	if a.json {
		for _, h := range found.Hits {
			if err := a.voice.JSON(viewHit(h, found.Total)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(found.Hits) == 0 {
		a.voice.Note("Nothing found.")
		return nil
	}
	layout := voice.Layout{Flexible: []int{1, 2, 3}, Spare: []int{3}, Roomy: []int{2}}
	var rows [][]string
	for _, h := range found.Hits {
		m := h.Mail
		from := m.Sender
		if a.voice.OutTTY { // room is short there, and show has the address
			from = view.Names(from)
			layout.Under = append(layout.Under, a.voice.Marked(2, h.Snippet.Text, h.Snippet.Marks))
		}
		rows = append(rows, []string{format.Moment(m.Date), from, m.Subject, m.MailboxPath, a.tableID(m.ID)})
	}
	if err := a.voice.Table([]string{"DATE", "FROM", "SUBJECT", "MAILBOX", "ID"}, rows, layout); err != nil {
		return err
	}
	if found.Total > int64(len(found.Hits)) {
		a.voice.Note("%s of %s: --limit %d shows more.", format.Count(int64(len(found.Hits))),
			format.Plural(found.Total, "message", "messages"), 4*limit)
	}
	return nil
}
