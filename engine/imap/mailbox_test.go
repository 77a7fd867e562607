package imap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/testkit/child"
	"mailcote/testkit/form"
)

// offering dials a server with the given capabilities.
func offering(t *testing.T, offered string, script func(p *peer)) (*Session, *peer) {
	t.Helper()
	d, p := pipe(t, func(p *peer) {
		p.say("* OK [CAPABILITY IMAP4rev1 " + offered + "] hi")
		script(p)
		p.untilGone()
	})
	s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, p
}

func TestList(t *testing.T) {
	s, p := offering(t, "SPECIAL-USE LIST-EXTENDED LIST-STATUS", func(p *peer) {
		p.answer(
			`* LIST (\hasnochildren) "/" INBOX`,
			`* STATUS inbox (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 9 UNSEEN 0 HIGHESTMODSEQ 77 X-SIZE (1 2) )`,
			`* LIST (\Noselect \HasChildren \) "\\" "a \"b\" \x"`,
			`* LIST (\Sent) NIL {8}`+"\r\nEntw&-rf",
			`* LIST () "." &AOQ-pfel ("CHILDINFO" ("SUBSCRIBED"))`,
			`* LIST () "/" two  words`,
			`* LIST () "/" "bad\ff`+"\xff"+`"`,
			`* LIST () "/" ""`,
			`* LIST "/" odd`,
			`* LSUB () "/" other`,
			`* STATUS "two  words" ()`,
			`* STATUS gone (MESSAGES 1)`,
			`* STATUS broken`,
		)
	})
	got, err := s.List(context.Background(), []string{"MESSAGES", "UIDNEXT"})
	if err != nil {
		t.Fatal(err)
	}
	want := []ListEntry{
		{Raw: "INBOX", Name: "INBOX", Delim: '/', Attrs: []goimap.MailboxAttr{`\HasNoChildren`},
			Status: &StatusData{Messages: 3, HasMessages: true, HasUnseen: true, UIDNext: 4, UIDValidity: 9,
				HighestModSeq: 77}},
		{Raw: `a "b" \x`, Name: `a "b" \x`, Delim: '\\', Attrs: []goimap.MailboxAttr{`\Noselect`, `\HasChildren`}},
		{Raw: "Entw&-rf", Name: "Entw&rf", Attrs: []goimap.MailboxAttr{`\Sent`}},
		{Raw: "&AOQ-pfel", Name: "äpfel", Delim: '.'},
		{Raw: "two  words", Name: "two  words", Delim: '/', Status: &StatusData{}},
		{Raw: "bad\\ff\xff", Name: "bad\\ff\uFFFD", Delim: '/'},
		{Raw: "", Name: "", Delim: '/'},
		{Raw: "odd", Name: "odd", Delim: '/'},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if line := p.lines()[0]; line != "m1 LIST \"\" \"*\" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT))\r\n" {
		t.Errorf("sent %q", line)
	}
}

func TestListFallback(t *testing.T) {
	for _, first := range []string{"BAD what", "NO never", "OK nothing to see"} {
		s, p := offering(t, "SPECIAL-USE LIST-EXTENDED", func(p *peer) {
			tag, _ := p.next()
			p.say(tag + " " + first)
			p.answer(`* LIST () "/" INBOX`)
		})
		got, err := s.List(context.Background(), []string{"MESSAGES"})
		if err != nil || len(got) != 1 || !strings.HasSuffix(p.lines()[1], "LIST \"\" \"*\"\r\n") {
			t.Errorf("%s: %v, %v, sent %q", first, got, err, p.lines())
		}
	}
	s, _ := offering(t, "", func(p *peer) {
		tag, _ := p.next()
		p.say(tag + " NO [SERVERBUG] never")
	})
	var st *StatusError
	if _, err := s.List(context.Background(), nil); !errors.As(err, &st) || st.Code != "SERVERBUG" {
		t.Error(err)
	}
}

// TestListTooMany: of too many mailboxes those within the limit are returned,
// with an error.
func TestListTooMany(t *testing.T) {
	s, _ := dial(t, Options{Limits: Limits{Mailboxes: 3}}, func(p *peer) {
		tag, _ := p.next()
		for i := range 10 {
			p.say(fmt.Sprintf(`* LIST () "/" box%d`, i))
		}
		p.say(tag + " OK")
		p.answer()
		p.untilGone()
	})
	got, err := s.List(context.Background(), nil)
	if len(got) != 3 || !errors.Is(err, ErrLimit) || s.Err() != nil {
		t.Errorf("%d, %v", len(got), err)
	}
	if err := s.Noop(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestHalfMillion: half a million mailboxes, deep and with long names, cost
// little memory. They end with an error in a session that goes on.
func TestHalfMillion(t *testing.T) {
	const n = 500_000
	d, _ := tcp(t, func(p *peer) {
		p.say("* OK [CAPABILITY IMAP4rev1] hi")
		tag, _ := p.next()
		w := bufio.NewWriter(p.c)
		deep := strings.Repeat("d/", 1000)
		for i := range n {
			switch {
			case i%10_000 == 1:
				fmt.Fprintf(w, "* LIST (\\HasChildren) \"/\" \"%s%d\"\r\n", deep, i)
			case i%10_000 == 2:
				fmt.Fprintf(w, "* LIST () \"/\" {65536}\r\n%065536d\r\n", i)
			default:
				fmt.Fprintf(w, "* LIST (\\HasNoChildren \\Subscribed) \"/\" \"a/box/with/some/name/%d\"\r\n", i)
			}
		}
		_ = w.Flush() // the client may be gone
		p.say(tag + " OK")
		p.answer()
		p.untilGone()
	})
	s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := child.ResetPeak()
	began := time.Now()
	got, err := s.List(context.Background(), nil)
	grown := child.Peak() - before
	t.Logf("%d of %d mailboxes in %v, %d MiB", len(got), n, time.Since(began).Round(time.Millisecond), grown>>20)
	if len(got) != DefaultLimits().Mailboxes || !errors.Is(err, ErrLimit) || s.Err() != nil {
		t.Errorf("%d, %v", len(got), err)
	}
	if grown > 64<<20 && !form.Race {
		t.Errorf("the program grew by %d MiB", grown>>20)
	}
	if err := s.Noop(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestStatus(t *testing.T) {
	s, p := offering(t, "", func(p *peer) {
		p.answer(`* STATUS other (MESSAGES 9)`,
			`* STATUS {3}`+"\r\na b"+` (MESSAGES 2 UIDNEXT 0 UNSEEN x HIGHESTMODSEQ 9223372036854775808)`)
		p.answer()
	})
	got, err := s.Status(context.Background(), "a b", []string{"MESSAGES"})
	if err != nil || got != (StatusData{Messages: 2, HasMessages: true}) ||
		p.lines()[0] != "m1 STATUS \"a b\" (MESSAGES)\r\n" {
		t.Errorf("%+v, %v, sent %q", got, err, p.lines())
	}
	if got, err = s.Status(context.Background(), "a b", []string{"MESSAGES"}); err != nil || got != (StatusData{}) {
		t.Errorf("no answer: %+v, %v", got, err)
	}
}

func TestExamine(t *testing.T) {
	s, p := offering(t, "CONDSTORE", func(p *peer) {
		p.answer(`* FLAGS (\Seen x)`, "* OK [CLOSED]", "* 7 EXISTS", "* 0 RECENT", "* OK [UIDVALIDITY 11] ok",
			"* OK [UIDNEXT 40]", "* OK [HIGHESTMODSEQ 5]",
			"* OK [X-NEW (1 2)] unknown", "* OK [UNSEEN",
			"* [COPYUID 1 2 3] home")
		tag, _ := p.next()
		p.say("* 3 EXISTS", "* OK [NOMODSEQ] none", "* OK [HIGHESTMODSEQ 18446744073709551615] high",
			tag+" OK [READ-WRITE] ok")
		tag, _ = p.next()
		p.say(tag + " NO [NONEXISTENT] gone")
		tag, _ = p.next()
		p.say(tag + " OK no EXISTS")
	})
	g := &got{}
	s.Observe(g.observer())
	ctx := context.Background()
	got, err := s.Examine(ctx, "a", true)
	want := SelectData{Exists: 7, UIDNext: 40, UIDValidity: 11, HighestModSeq: 5}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(SelectData{})); d != "" || err != nil ||
		s.State() != Selected || s.Exists() != 7 {
		t.Errorf("%v %v state %v", d, err, s.State())
	}
	got, err = s.Examine(ctx, "b", false)
	want = SelectData{Exists: 3, NoModSeq: true}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(SelectData{})); d != "" || err != nil {
		t.Error(d, err)
	}
	var st *StatusError
	if _, err = s.Examine(ctx, "c", true); !errors.As(err, &st) || st.Code != "NONEXISTENT" ||
		s.State() != Authenticated || s.Exists() != 0 {
		t.Errorf("%v, state %v, %d", err, s.State(), s.Exists())
	}
	if _, err = s.Examine(ctx, "d", true); !errors.Is(err, ErrSyntax) || s.Err() == nil {
		t.Errorf("OK without EXISTS: %v", err)
	}
	if l := p.lines(); l[0] != "m1 EXAMINE \"a\" (CONDSTORE)\r\n" || l[1] != "m2 EXAMINE \"b\"\r\n" {
		t.Errorf("sent %q", l)
	}
}

func TestUnsolicited(t *testing.T) {
	s, _ := offering(t, "", func(p *peer) {
		p.answer("* 7 EXISTS")
		p.answer("* 2 EXPUNGE", "* 9 EXISTS", "* VANISHED 9:7,1,12:*", "* 0 EXPUNGE", "* 4294967296 EXISTS",
			"* VANISHED (EARLIER) 5:1", "* OK [ALERT] fire\u202e", "* NO [X y] meh", "* 2 RECENT",
			`* OK [PERMANENTFLAGS (\seen a]b \*)] limited`)
		p.answer("* 2 EXISTS", "* 2 EXPUNGE", "* 2 EXPUNGE", "* 2 EXPUNGE")
	})
	g := &got{}
	ctx := context.Background()
	if _, err := s.Examine(ctx, "a", false); err != nil {
		t.Fatal(err)
	}
	s.Observe(g.observer())
	if err := s.Noop(ctx); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"expunge 2", "exists 9", "vanished false 1,7:9,12:4294967295", "vanished true 1:5",
		`OK [ALERT ] fire\u{202e}`, "NO [X y] meh", `OK [PERMANENTFLAGS (\seen a]b \*)] limited`,
	}
	if d := cmp.Diff(want, g.events); d != "" {
		t.Error(d)
	}
	if s.Exists() != 0 {
		t.Errorf("exists %d after all vanished", s.Exists())
	}
	if err := s.Noop(ctx); err != nil || s.Exists() != 0 {
		t.Errorf("%v, exists %d", err, s.Exists())
	}
}

func TestUIDSearchAll(t *testing.T) {
	ctx := context.Background()
	tests := []struct {
		name, offered, exists string
		answers               [][]string
		want                  string
		bad                   error
	}{
		{"ESEARCH", "ESEARCH", "9", [][]string{{`* ESEARCH (TAG "TAG") UID COUNT 4 ALL 1:3,9 MODSEQ 5`}}, "1:3,9", nil},
		{"ESEARCH empty", "ESEARCH", "9", [][]string{{`* ESEARCH (TAG "TAG") UID`}}, "", nil},
		{"ESEARCH of another tag", "ESEARCH", "9", [][]string{{`* ESEARCH (TAG "zz") UID ALL 4`,
			`* ESEARCH (TAG "TAG") UID ALL 1`}}, "1", nil},
		{"ESEARCH in two", "ESEARCH", "9", [][]string{{`* ESEARCH (TAG "TAG") UID ALL 7:9`,
			`* ESEARCH (TAG TAG) UID ALL 1,8`}}, "1,7:9", nil},
		{"a SEARCH to an ESEARCH", "ESEARCH", "9", [][]string{{`* SEARCH 3 1 2`}}, "1:3", nil},
		{"ESEARCH without a result", "ESEARCH", "9", [][]string{{}, {`* SEARCH 5`}}, "5", nil},
		{"ESEARCH by sequence", "ESEARCH", "9", [][]string{{`* ESEARCH (TAG "TAG") ALL 1:9`}, {`* SEARCH 5`}}, "5",
			nil},
		{"ESEARCH refused", "ESEARCH", "9", [][]string{nil, {`* SEARCH 5`}}, "5", nil},
		// the ESEARCH is to another tag
		{"SEARCH", "", "9", [][]string{{`* SEARCH 9 1 2 0 2 3`, `* SEARCH 4294967295 (MODSEQ 4)`,
			`* ESEARCH (TAG "x") UID ALL 6`}}, "1:3,9,4294967295", nil},
		{"SEARCH empty", "", "9", [][]string{{`* SEARCH`}}, "", nil},
		{"nothing said", "", "9", [][]string{{}}, "", ErrSyntax},
		{"nothing said, nothing there", "", "0", [][]string{{}}, "", nil},
		{"garbage", "", "9", [][]string{{`* SEARCH 1 two 3`}}, "", ErrSyntax},
		{"over 32 bits", "", "9", [][]string{{`* SEARCH 4294967296`}}, "", ErrSyntax},
		{"swapped and open", "ESEARCH", "9", [][]string{{`* ESEARCH (TAG "TAG") UID ALL 9:3,12:*`}},
			"3:9,12:4294967295", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := offering(t, tt.offered, func(p *peer) {
				p.answer("* " + tt.exists + " EXISTS")
				for _, lines := range tt.answers {
					if lines == nil {
						tag, _ := p.next()
						p.say(tag + " BAD what")
						continue
					}
					p.answer(lines...)
				}
			})
			if _, err := s.Examine(ctx, "a", false); err != nil {
				t.Fatal(err)
			}
			set, err := s.UIDSearchAll(ctx)
			if !errors.Is(err, tt.bad) || set.String() != tt.want || (err == nil && set == nil) {
				t.Errorf("%v, %v; want %q, %v", set, err, tt.want, tt.bad)
			}
		})
	}
}

// A long listing may be longer than a line, its ranges may not be too many.
func TestSearchLimits(t *testing.T) {
	var numbers strings.Builder
	for i := 200_000; i > 0; i-- {
		fmt.Fprintf(&numbers, " %d", 7*i)
	}
	for _, ranges := range []int{200_000, 199_999} {
		s, _ := dial(t, Options{Limits: Limits{Ranges: ranges}}, func(p *peer) {
			p.answer("* SEARCH" + numbers.String())
			p.untilGone()
		})
		s.caps = nil
		set, err := s.UIDSearchAll(context.Background())
		if ranges == 200_000 {
			if err != nil || len(set) != ranges || !slices.IsSortedFunc(set, func(a, b goimap.UIDRange) int {
				return int(a.Start) - int(b.Start)
			}) {
				t.Errorf("%d ranges, %v", len(set), err)
			}
		} else if !errors.Is(err, ErrLimit) {
			t.Errorf("%d ranges, %v", len(set), err)
		}
	}
}

func TestID(t *testing.T) {
	s, p := offering(t, "ID", func(p *peer) {
		p.answer(`* ID ("name" "Dove\"cot" "version" NIL "x" {1}` + "\r\n" + `y odd)`)
		p.answer("* ID NIL")
		p.answer()
	})
	ctx := context.Background()
	got, err := s.ID(ctx, map[string]string{"version": "1", "name": "mailcote"})
	if d := cmp.Diff(map[string]string{"name": `Dove"cot`, "version": "", "x": "y", "odd": ""}, got); d != "" ||
		err != nil {
		t.Error(d, err)
	}
	for range 2 {
		if got, err = s.ID(ctx, nil); err != nil || len(got) != 0 {
			t.Error(got, err)
		}
	}
	if l := p.lines(); l[0] != "m1 ID (\"name\" \"mailcote\" \"version\" \"1\")\r\n" || l[1] != "m2 ID NIL\r\n" {
		t.Errorf("sent %q", l)
	}
}

func TestMailboxNames(t *testing.T) {
	for _, tt := range []struct {
		raw, name string
		exact     bool // encoding the name gives raw
	}{
		{"INBOX", "INBOX", true}, {"", "", true}, {"&-", "&", true}, {"a&-b", "a&b", true},
		{"Entw&APw-rfe", "Entwürfe", true}, {"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語", true},
		{"&2D3eAA-", "😀", true}, {"&AAo-", "\n", true},
		{"&AGE-", "a", false}, {"&", "&", false}, {"a&b", "a&b", false}, {"&!!-x", "&!!-x", false},
		{"&A-", "&A-", false},
		{"&2D0-", "\uFFFD", false}, {"caf\xe9", "caf\uFFFD", false}, {"café", "café", false}, {"&APw", "&APw", false},
	} {
		if got := decodeMailbox(tt.raw); got != tt.name {
			t.Errorf("decode %q: %q, want %q", tt.raw, got, tt.name)
		}
		if got := encodeMailbox(tt.name); (got == tt.raw) != tt.exact && tt.exact {
			t.Errorf("encode %q: %q, want %q", tt.name, got, tt.raw)
		}
	}
}

// encodeMailbox encodes a name in modified UTF-7. The program sends names as it
// got them, so only tests need it.
func encodeMailbox(name string) string {
	var out strings.Builder
	var shifted []uint16
	flush := func() {
		if len(shifted) == 0 {
			return
		}
		b := make([]byte, 0, 2*len(shifted))
		for _, u := range shifted {
			b = append(b, byte(u>>8), byte(u))
		}
		out.WriteString("&" + mutf7.EncodeToString(b) + "-")
		shifted = shifted[:0]
	}
	for _, r := range name { // invalid UTF-8 ranges as U+FFFD
		if r < ' ' || r > '~' {
			shifted = utf16.AppendRune(shifted, r)
			continue
		}
		flush()
		out.WriteByte(byte(r))
		if r == '&' {
			out.WriteByte('-')
		}
	}
	flush()
	return out.String()
}
