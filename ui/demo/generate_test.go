package demo

import (
	"bytes"
	"errors"
	"image/png"
	"io"
	"mime"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 24, 12, 34, 56, 789, time.UTC)

// read parses one message completely and returns its header, its text parts
// and its attachments by name.
func read(t *testing.T, raw []byte) (mail.Header, string, map[string][]byte) {
	t.Helper()
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("create reader: %v\n%.400s", err, raw)
	}
	var text strings.Builder
	files := map[string][]byte{}
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return r.Header, text.String(), files
		}
		if err != nil {
			t.Fatalf("next part: %v", err)
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatalf("read part: %v", err)
		}
		if h, ok := p.Header.(*mail.AttachmentHeader); ok {
			name, err := h.Filename()
			if err != nil {
				t.Fatalf("filename: %v", err)
			}
			files[name] = body
			continue
		}
		text.Write(body)
	}
}

func TestMailboxIsAPureFunction(t *testing.T) {
	a, err := Mailbox(7, noon, 320)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Mailbox(7, noon, 320)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a, b); d != "" {
		t.Fatalf("same seed, other mail:\n%.2000s", d)
	}
	c, err := Mailbox(8, noon, 320)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a[0].Raw, c[0].Raw) {
		t.Fatal("another seed gives the same mail")
	}
}

func TestMailboxCountsAndDates(t *testing.T) {
	for _, seed := range []uint64{0, 1, 42, 1 << 60} {
		for _, now := range []time.Time{noon, time.Date(2028, 2, 29, 0, 0, 1, 0, time.UTC),
			time.Date(2026, 1, 1, 23, 59, 59, 0, time.FixedZone("", -9*3600))} {
			list, err := Mailbox(seed, now, 300)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) != 300 {
				t.Fatalf("%d messages", len(list))
			}
			if newest := list[len(list)-1].Date; !newest.Equal(now.Truncate(time.Second)) {
				t.Errorf("newest is %v, now is %v", newest, now)
			}
			for i, m := range list {
				if m.Date.After(now) || now.Sub(m.Date) > Horizon {
					t.Errorf("message dated %v, now %v", m.Date, now)
				}
				if i > 0 && m.Date.Before(list[i-1].Date) {
					t.Error("not sorted by date")
				}
			}
			if now.Sub(list[0].Date) < 400*24*time.Hour {
				t.Errorf("the oldest message is only from %v", list[0].Date)
			}
		}
	}
}

func TestMailboxIsBelievable(t *testing.T) {
	list, err := Mailbox(3, noon, 400)
	if err != nil {
		t.Fatal(err)
	}
	slot := regexp.MustCompile(`\{[a-z]+\}`)
	address := regexp.MustCompile(`@([a-z]+\.)*example\.(org|com|net)$`)
	sent := map[string]time.Time{} // Message-ID → date
	perMailbox, kinds := map[string]int{}, map[string]int{}
	var replies, html, flagged, unread, subjects int
	words := ""
	for _, m := range list { // oldest first: a parent must come before
		perMailbox[m.Mailbox]++
		h, text, files := read(t, m.Raw)
		id, err := h.MessageID()
		if err != nil || id == "" {
			t.Fatalf("message id %q: %v", id, err)
		}
		if _, dup := sent[id]; dup {
			t.Errorf("message id %s twice", id)
		}
		date, err := h.Date()
		if err != nil || !date.Equal(m.Date) {
			t.Errorf("date %v, internal date %v, %v", date, m.Date, err)
		}
		sent[id] = date
		refs, err := h.MsgIDList("References")
		if err != nil {
			t.Fatal(err)
		}
		parents, _ := h.MsgIDList("In-Reply-To")
		if len(refs) > 0 {
			replies++
			if len(parents) != 1 || parents[0] != refs[len(refs)-1] {
				t.Errorf("In-Reply-To %v, References %v", parents, refs)
			}
		}
		for _, ref := range refs {
			if before, ok := sent[ref]; !ok || before.After(date) {
				t.Errorf("%s refers to %s, which is missing or later", id, ref)
			}
		}
		for _, field := range []string{"From", "To", "Cc"} {
			people, err := h.AddressList(field)
			if err != nil || field != "Cc" && len(people) == 0 {
				t.Errorf("%s: %v %v", field, people, err)
			}
			for _, p := range people {
				if !address.MatchString(p.Address) {
					t.Errorf("address %q is not reserved for examples", p.Address)
				}
			}
		}
		subject, err := h.Subject()
		if err != nil || subject == "" {
			t.Errorf("subject %q: %v", subject, err)
		}
		if slot.MatchString(subject) || slot.MatchString(text) && !strings.Contains(text, "<style>") {
			t.Errorf("slot left open in %q: %s", subject, text)
		}
		subjects += len(subject)
		words += text
		if bytes.Contains(m.Raw, []byte("text/html")) {
			html++
		}
		if slices.Contains(m.Flags, imap.FlagFlagged) {
			flagged++
		}
		if m.Mailbox == "INBOX" && !slices.Contains(m.Flags, imap.FlagSeen) {
			unread++
		}
		if bytes.Contains(bytes.ReplaceAll(m.Raw, []byte("\r\n"), nil), []byte("\n")) {
			t.Error("a bare line feed")
		}
		for name, body := range files {
			kinds[checkFile(t, name, body)]++
		}
	}
	for _, name := range []string{"INBOX", "Sent", "Drafts", "Archive", "Newsletters", "Junk", "Trash",
		"Projects/Garden", "Projects/Sternwarte"} {
		if perMailbox[name] == 0 {
			t.Errorf("nothing in %s: %v", name, perMailbox)
		}
	}
	for _, kind := range []string{"pdf", "png", "csv", "ics"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s among the attachments: %v", kind, kinds)
		}
	}
	for _, letters := range []string{"ß", "ç", "ñ", "ł", "の", "茶", "ال", "θ"} {
		if !strings.Contains(words, letters) {
			t.Errorf("no text with %q", letters)
		}
	}
	if replies < 80 || html < 60 || flagged < 5 || unread < 3 {
		t.Errorf("replies %d, html %d, flagged %d, unread %d", replies, html, flagged, unread)
	}
	t.Logf("%d messages, %d replies, %d with HTML, %v, attachments %v", len(list), replies, html, perMailbox, kinds)
}

func checkFile(t *testing.T, name string, body []byte) string {
	t.Helper()
	kind := name[strings.LastIndexByte(name, '.')+1:]
	ok := false
	switch kind {
	case "pdf":
		ok = bytes.HasPrefix(body, []byte("%PDF-")) && bytes.HasSuffix(body, []byte("%%EOF\n"))
	case "png":
		_, err := png.Decode(bytes.NewReader(body))
		ok = err == nil
	case "csv":
		ok = bytes.Count(body, []byte("\r\n")) > 10
	case "ics":
		ok = bytes.HasPrefix(body, []byte("BEGIN:VCALENDAR\r\n")) && bytes.Contains(body, []byte("\r\nDTSTART:"))
	}
	if !ok {
		t.Errorf("attachment %q is broken: %.80q", name, body)
	}
	return kind
}

func TestArrivalsContinueConversations(t *testing.T) {
	g, err := newGenerator(5, noon)
	if err != nil {
		t.Fatal(err)
	}
	list, err := g.fill(300)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range list {
		h, _, _ := read(t, m.Raw)
		id, _ := h.MessageID()
		known[id] = true
	}
	answers := 0
	for i := range 200 {
		m, err := g.arrive(noon.Add(time.Duration(i) * time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		h, _, _ := read(t, m.Raw)
		id, _ := h.MessageID()
		refs, _ := h.MsgIDList("References")
		for _, ref := range refs {
			if !known[ref] {
				t.Errorf("%s refers to %s, which nobody has", id, ref)
			}
		}
		if len(refs) > 0 {
			answers++
		}
		if known[id] || m.Mailbox != "INBOX" || len(m.Flags) > 0 {
			t.Errorf("arrival %s in %s with %v", id, m.Mailbox, m.Flags)
		}
		known[id] = true
	}
	if answers < 20 || answers > 180 {
		t.Errorf("%d of 200 arrivals are answers", answers)
	}
}

func TestBoundariesNeedNoQuotes(t *testing.T) {
	got := mime.FormatMediaType("multipart/mixed", map[string]string{"boundary": "mixed-" +
		boundary("a1.7@Ex ample/\"org")})
	if got != "multipart/mixed; boundary=mixed-a17xampleorg" {
		t.Error(got)
	}
}
