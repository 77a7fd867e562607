package imap

import (
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	goimap "github.com/emersion/go-imap/v2"
)

// TestFetchForms: a body arrives in whatever order, form and company the server
// sends it.
func TestFetchForms(t *testing.T) {
	tests := []struct {
		name, answer string
		bodies       map[goimap.UID]string
	}{
		{"plain", "* 1 FETCH (UID 5 BODY[] {5}\r\nhello)\r\n", map[goimap.UID]string{5: "hello"}},
		{"body before UID", "* 1 FETCH (BODY[] {5}\r\nhello UID 5)\r\n", map[goimap.UID]string{5: "hello"}},
		{"flags of the same message come first",
			"* 1 FETCH (FLAGS () UID 5)\r\n* 1 FETCH (UID 5 BODY[] {5}\r\nhello)\r\n",
			map[goimap.UID]string{5: "hello"}},
		{"another one interleaved",
			"* 2 FETCH (FLAGS (\\Seen))\r\n* 1 FETCH (UID 5 BODY[] {5}\r\nhello)\r\n* 9 EXPUNGE\r\n",
			map[goimap.UID]string{5: "hello"}},
		{"unknown items around it",
			"* 1 FETCH (X-FOO (a (\"b)\" {2}\r\n)( c)) BODY[] {5}\r\nhello X-BAR NIL UID 5)\r\n",
			map[goimap.UID]string{5: "hello"}},
		{"unknown responses",
			"* XNOTE see{5}\r\n* XINFO don't \"panic {5}\r\n* XDATA (x {3}\r\na)\")\r\n* 7 XNUM\r\n" +
				"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n* 1 FETCH (UID 5 BODY[] {5}\r\nhello)\r\n",
			map[goimap.UID]string{5: "hello"}},
		{"stray plus", "+ idling\r\n* 1 FETCH (UID 5 BODY[] {5}\r\nhello)\r\n+ \r\n",
			map[goimap.UID]string{5: "hello"}},
		{"empty literal", "* 1 FETCH (UID 5 BODY[] {0}\r\n)\r\n", map[goimap.UID]string{5: ""}},
		{"NIL body", "* 1 FETCH (UID 5 BODY[] NIL)\r\n", map[goimap.UID]string{}},
		{"body left out", "* 1 FETCH (UID 5 BODY[] )\r\n", map[goimap.UID]string{}},
		{"literal8", "* 1 FETCH (UID 5 BODY[] ~{5}\r\nhe\x00lo)\r\n", map[goimap.UID]string{5: "he\x00lo"}},
		{"non-synchronising form", "* 1 FETCH (UID 5 BODY[] {5+}\r\nhello)\r\n", map[goimap.UID]string{5: "hello"}},
		{"quoted body", "* 1 FETCH (UID 5 BODY[] \"say \\\"hi\\\" \\\\\")\r\n", map[goimap.UID]string{5: `say "hi" \`}},
		{"RFC822", "* 1 FETCH (UID 5 RFC822 {5}\r\nhello)\r\n", map[goimap.UID]string{5: "hello"}},
		{"lower case, two spaces, bare LF, pads", "\x00\x00  * 1  fetch (uid 5  body[]  {5}\nhello )\n\r\n",
			map[goimap.UID]string{5: "hello"}},
		{"extra parentheses", "* 1 FETCH (UID 5 BODY[] {5}\r\nhello))\r\n", map[goimap.UID]string{5: "hello"}},
		{"a literal's look at a text's end",
			"* OK still here {5}\r\n* NO [ALERT] oh {99}\r\n* 1 FETCH (UID 5 BODY[] {5}\r\nhello)\r\n",
			map[goimap.UID]string{5: "hello"}},
		{"a body that looks like answers", "* 1 FETCH (UID 5 BODY[] {14}\r\nTAG OK done\r\n{)\r\n",
			map[goimap.UID]string{5: "TAG OK done\r\n{"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := tt.answer + "TAG OK done {7}\r\n"
			if strings.Contains(tt.name, "looks like answers") {
				answer = strings.Replace(tt.answer, "TAG OK done\r\n{", "m9 OK done\r\n{}", 1) + "TAG OK done\r\n"
				tt.bodies[5] = "m9 OK done\r\n{}"
			}
			g, s, err := fetchAll(t, Options{}, answer)
			if err != nil || s.Err() != nil {
				t.Fatalf("UIDFetch: %v, session %v", err, s.Err())
			}
			if d := cmp.Diff(tt.bodies, g.bodies); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFetchItems(t *testing.T) {
	when := time.Date(1996, 7, 17, 9, 44, 25, 0, time.UTC)
	tests := []struct {
		items string
		want  Message
	}{
		{`UID 7 FLAGS (\seen $Junk) MODSEQ (12) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 44`,
			Message{UID: 7, State: State{[]goimap.Flag{`\Seen`, "$Junk"}, true, 12}, InternalDate: when, Size: 44}},
		{`RFC822.SIZE 44 UID 7`, Message{UID: 7, Size: 44}},
		{`FLAGS NIL`, Message{State: State{HasFlags: true}, Size: -1}},
		{`FLAGS ("\\Seen" NIL "a b" \ x]y)`,
			Message{State: State{Flags: []goimap.Flag{`\Seen`, "x]y"}, HasFlags: true}, Size: -1}},
		{`FLAGS ()`, Message{State: State{HasFlags: true, Flags: nil}, Size: -1}},
		{`MODSEQ (-1) UID 7`, Message{UID: 7, Size: -1}},
		{`MODSEQ (9223372036854775808)`, Message{Size: -1}},
		{`MODSEQ (9223372036854775807)`, Message{State: State{ModSeq: 1<<63 - 1}, Size: -1}},
		{`MODSEQ 5`, Message{State: State{ModSeq: 5}, Size: -1}},
		{`UID 0 RFC822.SIZE -1`, Message{Size: -1}},
		{`UID 4294967296`, Message{Size: -1}},
		{`UID 4294967295`, Message{UID: 4294967295, Size: -1}},
		{`UID 1.5 RFC822.SIZE 1e3`, Message{Size: -1}},
		{`UID`, Message{Size: -1}},
		{`INTERNALDATE NIL`, Message{Size: -1}},
		{`INTERNALDATE "00-Jan-0000 00:00:00 +0000"`, Message{Size: -1}},
		{`INTERNALDATE "31-Feb-2020 00:00:00 +0000"`, Message{Size: -1}},
		{`INTERNALDATE " 7-Jul-1996 02:44:25 +0000"`, Message{InternalDate: time.Date(1996, 7, 7, 2, 44, 25, 0,
			time.UTC), Size: -1}},
		{`INTERNALDATE "7-Jul-1996 02:44:25 +0000"`, Message{InternalDate: time.Date(1996, 7, 7, 2, 44, 25, 0,
			time.UTC), Size: -1}},
		{`X-GM-MSGID 1278455344230334865 X-GM-LABELS ("\\Inbox" x) EMAILID (M1)`,
			Message{Size: -1, Extra: map[string]string{"X-GM-MSGID": "1278455344230334865",
				"X-GM-LABELS": `("\\Inbox" x)`, "EMAILID": "(M1)"}}},
		{"X {2}\r\n)) Y ~x Z ~{1}\r\n\" UID 3", Message{UID: 3, Size: -1,
			Extra: map[string]string{"X": "{2}\r\n))", "Y": "~x", "Z": "{1}\r\n\""}}},
	}
	for _, tt := range tests {
		g, _, err := fetchAll(t, Options{}, "* 3 FETCH ("+tt.items+")\r\nTAG OK done\r\n")
		if err != nil || len(g.msgs) != 1 {
			t.Errorf("%s: %d messages, %v", tt.items, len(g.msgs), err)
			continue
		}
		tt.want.Seq = 3
		if d := cmp.Diff(tt.want, g.msgs[0]); d != "" {
			t.Errorf("%s: %s", tt.items, d)
		}
	}
}

func TestFetchSections(t *testing.T) {
	g, _, err := fetchAll(t, Options{},
		"* 1 FETCH (BODY[HEADER] {1}\r\na BODY[TEXT]<0> {1}\r\n"+
			"b BODY[HEADER.FIELDS (\"x]\" Y)] \"c\" BODY[]<0> {1}\r\nd BINARY[1.2] ~{1}\r\ne UID 1)\r\nTAG OK\r\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"HEADER", "TEXT<0>", `HEADER.FIELDS ("x]" Y)`, "<0>", "BINARY[1.2]"}
	if d := cmp.Diff(want, g.parts); d != "" {
		t.Error(d)
	}
	if g.msgs[0].HasBody {
		t.Error("a part counts as the whole body")
	}
}

// TestWrongLiterals: a wrong size never makes a whole message, and never takes
// more memory than the limits.
func TestWrongLiterals(t *testing.T) {
	tests := []struct {
		name, answer string
		want         error
		cut          bool
	}{
		{"ends inside", "* 1 FETCH (UID 5 BODY[] {1714}\r\n" + strings.Repeat("x", 40), io.ErrUnexpectedEOF, true},
		{"ends before its first octet", "* 1 FETCH (UID 5 BODY[] {9}\r\n", io.ErrUnexpectedEOF, true},
		{"ends behind its last octet", "* 1 FETCH (UID 5 BODY[] {2}\r\nxx", io.ErrUnexpectedEOF, true},
		{"ends inside the header", "* 1 FETCH (UID 5 BODY[] {17", io.ErrUnexpectedEOF, true},
		{"ends between responses", "* 1 FETCH (UID 5)\r\n", io.ErrUnexpectedEOF, true},
		{"too small", "* 1 FETCH (UID 5 BODY[] {4}\r\nSubject: x\r\n\r\nhi)\r\nTAG OK\r\n", ErrSyntax, false},
		{"too small, and an item's look behind it", "* 1 FETCH (BODY[] {2}\r\nhixx 3)\r\nTAG OK\r\n", ErrSyntax, false},
		{"too small, at a line's end", "* 1 FETCH (UID 5 BODY[] {4}\r\nhi\r\n\r\nx)\r\nTAG OK\r\n", ErrSyntax, false},
		{"too large", "* 1 FETCH (UID 5 BODY[] {9999}\r\nhi)\r\nTAG OK\r\n", ErrStalled, false},
		{"huge", "* 1 FETCH (UID 5 BODY[] {999999999999}\r\nhi)\r\nTAG OK\r\n", ErrLimit, false},
		{"2^63", "* 1 FETCH (UID 5 BODY[] {9223372036854775808}\r\nhi)\r\nTAG OK\r\n", ErrLimit, false},
		{"longer than a number", "* 1 FETCH (UID 5 BODY[] {99999999999999999999999}\r\nhi)\r\nTAG OK\r\n", ErrLimit,
			false},
		{"negative", "* 1 FETCH (UID 5 BODY[] {-1}\r\nhi)\r\nTAG OK\r\n", ErrSyntax, false},
		{"no digits", "* 1 FETCH (UID 5 BODY[] {x}\r\nhi)\r\nTAG OK\r\n", ErrSyntax, false},
		{"empty", "* 1 FETCH (UID 5 BODY[] {}\r\nhi)\r\nTAG OK\r\n", ErrSyntax, false},
		{"an atom for a body", "* 1 FETCH (UID 5 BODY[] hi)\r\nTAG OK\r\n", ErrSyntax, false},
		{"huge in an unknown response", "* XDATA {999999999999}\r\n", ErrLimit, false},
		{"huge in an unknown item", "* 1 FETCH (X {999999999999}\r\n", ErrLimit, false},
		{"deep", "* 1 FETCH (X " + strings.Repeat("(", 5000) + "\r\n", ErrLimit, false},
		{"list cut by the line's end", "* 1 FETCH (UID 5 FLAGS (\\Seen\r\nTAG OK\r\n", ErrSyntax, false},
		{"no list", "* 1 FETCH UID 5\r\nTAG OK\r\n", ErrSyntax, false},
		{"unknown tag", "z1 OK forged\r\n", ErrSyntax, false},
		{"tag not sent yet", "m99 OK forged\r\n", ErrSyntax, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := dial(t, Options{}, func(p *peer) {
					tag, _ := p.next()
					p.raw(strings.ReplaceAll(tt.answer, "TAG", tag))
					if !tt.cut {
						p.untilGone()
					}
				})
				g := &got{}
				err := s.UIDFetch(t.Context(), all, []Item{ItemBody}, g.handler())
				var wire *WireError
				if !errors.Is(err, tt.want) || !errors.As(err, &wire) {
					t.Errorf("got %v, want a WireError of %v", err, tt.want)
				} else if inside := tt.name == "ends inside" ||
					tt.name == "too large"; inside != (wire.Phase == "literal") &&
					tt.name != "ends before its first octet" {
					t.Errorf("phase %q", wire.Phase)
				}
				if len(g.bodies) > 0 {
					t.Errorf("bodies taken for whole: %v", g.bodies)
				}
				for i, e := range g.errs {
					if e == nil && g.sizes[i] > 4 {
						t.Errorf("a body of %d octets read to a clean end", g.sizes[i])
					}
				}
				if again := s.Noop(t.Context()); again != err {
					t.Errorf("later call: %v, want the same %v", again, err)
				}
			})
		})
	}
}

// Limits on what has no literal: a line, an answer, a string in memory.
func TestLimits(t *testing.T) {
	lim := Limits{Line: 1000, Literal: 100, Command: 200_000, Responses: 50}
	tests := []struct{ name, answer string }{
		{"endless line", "* XINFO " + strings.Repeat("x", 100_000)},
		{"endless spaces", strings.Repeat(" ", 100_000)},
		{"long line", "* OK " + strings.Repeat("x", 2000) + "\r\n"},
		{"quoted", `* LIST () "/" "` + strings.Repeat("x", 101) + "\"\r\n"},
		{"literal in memory", "* LIST () \"/\" {101}\r\n"},
		{"many responses", strings.Repeat("* 1 EXISTS\r\n", 100)},
		{"skipped literals", strings.Repeat("* X {50000}\r\n"+strings.Repeat("x", 50_000)+"\r\n", 5)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := dial(t, Options{Limits: lim}, func(p *peer) {
				_, _ = p.next()
				p.raw(tt.answer)
				p.untilGone()
			})
			if _, err := s.List(context.Background(), nil); !errors.Is(err, ErrLimit) {
				t.Errorf("got %v, want ErrLimit", err)
			}
		})
	}
	g, _, err := fetchAll(t, Options{Limits: lim}, "* 1 FETCH (X \""+strings.Repeat("x", 90)+
		"\" Y {90}\r\n"+strings.Repeat("y", 90)+" BODY[] {100000}\r\n"+
		strings.Repeat("z", 100_000)+" UID 1)\r\nTAG OK\r\n")
	if err != nil || len(g.bodies[1]) != 100_000 || len(g.msgs[0].Extra) != 1 {
		t.Errorf("a streamed body or an over-long extra counted: %v, %v", err, maps.Keys(g.msgs[0].Extra))
	}
}

// Trap 3: data of a later command before the tagged OK of an earlier one.
func TestPipelined(t *testing.T) {
	s, _ := dial(t, Options{}, func(p *peer) {
		var tags []string
		for range 3 {
			tag, _ := p.next()
			tags = append(tags, tag)
		}
		p.raw("* 3 FETCH (UID 3 BODY[] {1}\r\nc)\r\n* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n")
		p.say(tags[1]+" NO [SERVERBUG] no", tags[1]+" OK twice", "* 2 FETCH (UID 2 BODY[] {1}\r\nb)",
			tags[0]+" OK [MODIFIED 7] done", tags[2]+" OK")
		p.untilGone()
	})
	g := &got{}
	defer s.addFetch(all, g.handler())()
	ctx := context.Background()
	var tags []string
	for _, uid := range []string{"1", "2", "3"} {
		tag, err := s.Send(ctx, "UID FETCH "+uid+" (BODY.PEEK[])")
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	var sts []Status
	for _, tag := range []string{tags[2], tags[1], tags[0]} {
		st, err := s.Wait(ctx, tag)
		if err != nil {
			t.Fatal(err)
		}
		sts = append(sts, st)
	}
	// Trap 8: the codes, also on an OK, reach the caller.
	if sts[1].Code != "SERVERBUG" || sts[2].Code != "MODIFIED" || sts[2].CodeArgs != "7" {
		t.Errorf("statuses %+v", sts)
	}
	if d := cmp.Diff(map[goimap.UID]string{1: "a", 2: "b", 3: "c"}, g.bodies); d != "" {
		t.Error(d)
	}
	if _, err := s.Wait(ctx, tags[0]); !errors.Is(err, ErrCommand) {
		t.Errorf("Wait for a taken tag: %v", err)
	}
}

// A long set goes in several short lines, all ranges once; one NO is reported
// and does not hide what the others brought.
func TestUIDFetchSplits(t *testing.T) {
	var set, sent goimap.UIDSet
	for i := range goimap.UID(2000) {
		set.AddNum(1_000_000 + 3*i)
	}
	lines := 0
	s, p := dial(t, Options{}, func(p *peer) {
		for {
			tag, _ := p.next()
			if tag == "" {
				return
			}
			p.say("* 1 FETCH (FLAGS ())", tag+" OK")
		}
	})
	if err := s.UIDFetchSince(context.Background(), set, 9, []Item{ItemState}, FetchHandler{}); err != nil {
		t.Fatal(err)
	}
	for _, line := range p.lines() {
		if len(line) > CommandLine {
			t.Errorf("line of %d octets", len(line))
		}
		_, line, _ = strings.Cut(line, " ")
		lines++
		f := strings.Fields(line)
		if f[3]+f[4] != "(UIDFLAGS)" || f[5]+f[6] != "(CHANGEDSINCE9)" {
			t.Fatalf("line %q", line)
		}
		part, err := parseSet(f[2])
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, part...)
	}
	if d := cmp.Diff(set, sent); d != "" {
		t.Error(d)
	}
	t.Logf("%d lines", lines)
}

func parseSet(text string) (goimap.UIDSet, error) {
	lim := DefaultLimits()
	b := setBuilder{max: 1 << 20}
	err := b.read(newScanner(strings.NewReader(text+"\r\n"), &lim))
	return b.set(), err
}

// A set larger than a piece is the same in order, backwards and with everything
// twice; touching ranges are one.
func TestSetBuilder(t *testing.T) {
	const n = 3*setPiece + 7
	for _, name := range []string{"in order", "backwards", "twice", "touching"} {
		b := setBuilder{max: 2 * n}
		var want goimap.UIDSet
		for i := range uint32(n) {
			uid := 2*i + 1
			if name == "backwards" {
				uid = 2*(n-1-i) + 1
			}
			want = append(want, goimap.UIDRange{Start: goimap.UID(2*i + 1), Stop: goimap.UID(2*i + 1)})
			if name == "touching" && i > 0 {
				want[0].Stop, want = goimap.UID(2*i+1), want[:1]
				if err := b.add(2*i, 2*i); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.add(uid, uid); err != nil {
				t.Fatal(err)
			}
		}
		if name == "twice" {
			for i := range uint32(n) {
				if err := b.add(2*i+1, 2*i+1); err != nil {
					t.Fatal(err)
				}
			}
		}
		if d := cmp.Diff(want, b.set()); d != "" {
			t.Errorf("%s: %.500s", name, d)
		}
	}
	b := setBuilder{max: setPiece + 1}
	for i := uint32(1); ; i += 2 {
		if err := b.add(i, i); err != nil {
			if got := len(b.set()); !errors.Is(err, ErrLimit) || got != b.max {
				t.Errorf("%d ranges, then %v; want %d", got, err, b.max)
			}
			return
		}
	}
}

// A handler may leave a body unread, or fail; a failure ends the session.
func TestBodyLeftUnread(t *testing.T) {
	answer := "* 1 FETCH (BODY[] {200000}\r\n" + strings.Repeat("x", 200_000) +
		" UID 1)\r\n* 2 FETCH (UID 2 BODY[] {1}\r\ny)\r\n"
	boom := errors.New("boom")
	for _, fails := range []bool{false, true} {
		s, _ := dial(t, Options{}, func(p *peer) {
			tag, _ := p.next()
			p.raw(answer)
			p.say(tag + " OK")
			p.untilGone()
		})
		var uids []goimap.UID
		err := s.UIDFetch(context.Background(), all, []Item{ItemBody}, FetchHandler{
			Body: func(_ *Message, _ string, _ int64, r io.Reader) error {
				_, err := io.ReadFull(r, make([]byte, 1))
				if fails {
					return boom
				}
				return err
			},
			Fetch: func(m *Message) error {
				uids = append(uids, m.UID)
				return nil
			},
		})
		if fails != errors.Is(err, boom) || !fails && err != nil {
			t.Errorf("fails %v: %v", fails, err)
		}
		if !fails && cmp.Diff([]goimap.UID{1, 2}, uids) != "" {
			t.Errorf("UIDs %v", uids)
		}
	}
}
