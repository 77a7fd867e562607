package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"mailcote/engine/message"
	"mailcote/ui/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"

var testNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// fake is an in-memory Source.
type fake struct {
	mu       sync.Mutex
	overview view.Overview
	lists    map[int64]view.MessageList // by mailbox; 0 is the newest mail
	messages map[string]view.MessageView
	parts    map[string]fakePart // by "id number"
	err      error
	asked    []view.ListQuery
	news     chan bool // one for each change; whether it is mail
}

// Watch gives the news to one stream.
func (f *fake) Watch() view.Watch { return news(f.news) }

type news chan bool

func (n news) Wait(ctx context.Context) (mail bool, err error) {
	select {
	case mail := <-n:
		return mail, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (news) Close() {}

func (f *fake) Overview(context.Context) (view.Overview, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.overview, f.err
}

func (f *fake) Messages(_ context.Context, q view.ListQuery) (view.MessageList, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
	list, ok := f.lists[q.Mailbox]
	if !ok {
		return view.MessageList{}, fmt.Errorf("mailbox %d: %w", q.Mailbox, view.ErrNotFound)
	}
	if strings.HasPrefix(q.Search, "before:") {
		return view.MessageList{}, fmt.Errorf("search: %w",
			&view.QueryError{Reason: "before: wants a date, such as before:2026-01-31."})
	}
	return list, f.err
}

func (f *fake) Message(_ context.Context, id string) (view.MessageView, error) {
	m, ok := f.messages[id]
	if !ok {
		return view.MessageView{}, view.ErrNotFound
	}
	return m, f.err
}

func (f *fake) Part(_ context.Context, id, number string) (view.Part, error) {
	p, ok := f.parts[id+" "+number]
	if !ok {
		return view.Part{}, view.ErrNotFound
	}
	return view.Part{Attachment: p.Attachment, Body: io.NopCloser(p.body())}, f.err
}

// fakePart is a part whose body can be read again.
type fakePart struct {
	message.Attachment
	body func() io.Reader
}

func sample() *fake {
	item := func(id, from, subject, preview, mailbox string, age time.Duration) view.MessageItem {
		return view.MessageItem{ID: id, From: from, Subject: subject, Preview: preview, Mailbox: mailbox,
			Date: testNow.Add(-age)}
	}
	items := []view.MessageItem{
		item("m1", "Otis Pemberly", "Who was the third keeper?",
			"There is a gap of eleven days in the record. No entry, no signature, and then it goes on as if nothing "+
				"had happened, in a different ink.", "INBOX", 4*time.Minute),
		item("m2", "سلمى الخيّاط", "شجرة الياسمين",
			"أزهرت شجرة الياسمين أخيرًا، وصار الجيران يفتحون نوافذهم في المساء.", "INBOX", 50*time.Minute),
		item("m3", "水無月 ほのか", "土曜日の山歩きについて", "朝は霧が出るそうです。霧が晴れるのをゆっくり待ちませんか。", "INBOX", 3*time.Hour),
		item("m4", "The Tidal Gazette", "The Tidal Gazette: What the harbour seals heard",
			"The spring tide takes the lower path on two mornings this week.", "Newsletters", 26*time.Hour),
		item("m5", "Annelie Kornmacher", "Re: Rezept für den Zwetschgenkuchen",
			"„Wie immer“ heißt bei uns: mehr Butter, als man zugeben würde.", "Archive/Family and everybody else",
			9*24*time.Hour),
		item("m6", "", "", "", "INBOX", 400*24*time.Hour),
	}
	items[0].Unread, items[0].Attachment, items[1].Flagged = true, true, true
	return &fake{
		overview: view.Overview{Messages: 12841, Accounts: []view.Account{
			{ID: 1, Name: "robin@imap.example.org", Standing: view.Standing{State: view.Syncing},
				LastSuccess: testNow.Add(-3 * time.Hour), Mailboxes: []view.Mailbox{
					{ID: 1, Path: "INBOX", Role: "inbox", Stored: 1204, Total: 1204, Unread: 17},
					{ID: 2, Path: "Sent", Role: "sent", Stored: 873, Total: 1930},
					{ID: 3, Path: "Projects/Repair Café", Stored: 41, Total: 96, Unread: 2},
					{ID: 4, Path: "مشاريع/الياسمين", Stored: 3, Total: 3},
					{ID: 5, Path: "Drafts", Role: "drafts"},
				}},
			{ID: 2, Name: "robin.ardent@mail.example.com", Standing: view.Standing{State: view.Paused,
				Cause: "The password was refused."},
				NextStep: "mailcote account set robin.ardent@mail.example.com", Errors: 1, Quarantined: 2,
				Mailboxes: []view.Mailbox{
					{ID: 6, Path: "INBOX", Role: "inbox", Stored: 10671, Total: 10671, Unread: 3021},
					{ID: 7, Path: "Team", Refused: "NO [NOPERM] <not> yours"},
					{ID: 8, Path: "Old", Stored: 12, Total: 12, LeftOut: true},
				}},
			{ID: 3, Name: "club@example.net", Standing: view.Standing{State: view.OK},
				LastSuccess: testNow.Add(-40 * time.Second)},
		}},
		lists: map[int64]view.MessageList{
			0: {Items: items, Next: "cursor 2&x"},
			1: {Title: "INBOX", Account: "robin@imap.example.org", Items: items[:3]},
			5: {Title: "Drafts", Account: "robin@imap.example.org"},
		},
		messages: map[string]view.MessageView{
			"m1": {
				ID: "m1", Subject: "Who was the third keeper?",
				From: []view.Address{{Name: "Otis Pemberly", Addr: "otis.pemberly@example.com"}},
				To: []view.Address{{Name: "Robin Ardent", Addr: "robin@example.org"},
					{Addr: "nell.abernook@example.org"}},
				Date: testNow.Add(-4 * time.Minute), Received: testNow.Add(-3 * time.Minute),
				MessageID: "<150143d063c0c.228@example.com>", Size: 48211, Mailboxes: []string{"INBOX"},
				Flags: []string{`\Flagged`},
				Text: "Hi Robin,\r\n\r\nThere is a gap of eleven days in the record. No entry, no signature, " +
					"and\r\nthen it goes on as if nothing had happened, in a different ink.\r\n\r\n" +
					"شكرًا على الصورة، كانت واضحة جدًا.\r\n\r\nUntil soon,\r\nOtis\r\n\r\nOn 2026-11-20 10:47, Robin " +
					"Ardent wrote:\r\n> Could you photograph the margin of page 7?\r\n> I think there is a " +
					"column of numbers.\r\n",
				Links: []message.Link{
					{Target: "https://lighthouse.example/keepers?page=7&year=1911", Text: "the record"},
					{Target: "javascript:alert(1)", Text: "https://bank.example/"},
					{Target: "mailto:otis.pemberly@example.com"},
				},
				Attachments: []view.Attachment{
					{Number: "2", Name: "Keepers and dates.csv", Type: "text/csv", Size: 812},
					{Number: "3.1", Name: "invoice\u202efdp.exe", Type: "application/octet-stream", Size: 44120},
				},
			},
		},
		parts: map[string]fakePart{
			"m1 2": {message.Attachment{Name: "Kéepers and dates.csv", Type: "text/csv"},
				func() io.Reader { return strings.NewReader("year,keeper\n1911,\x00?\n") }},
			"m1 1": {message.Attachment{Type: "text/html"},
				func() io.Reader { return strings.NewReader("<script>document.title = 'ran'</script>") }},
			"m1 4": {message.Attachment{Name: "../../x.html\r\nSet-Cookie: a=b", Type: "text/html\r\nX: y"},
				func() io.Reader { return iotest.ErrReader(errors.New("damaged")) }},
		},
	}
}
