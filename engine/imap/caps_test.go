package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/testkit/form"
)

// obedient answers every command at once.
type obedient struct {
	memory
	n   int
	say func(command string, n int) string // in place of "OK done"
}

func (o *obedient) Write(b []byte) (int, error) {
	var out bytes.Buffer
	for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\r\n"), "\r\n") {
		tag, rest, _ := strings.Cut(line, " ")
		o.n++
		fmt.Fprintf(&out, "%s %s\r\n", tag, o.say(rest, o.n))
	}
	o.in = io.MultiReader(&out)
	return len(b), nil
}

func obeying(say func(string, int) string) (*Session, *obedient) {
	lim := DefaultLimits()
	o := &obedient{say: say}
	return newSession(newProgressConn(o, &lim), lim, nil), o
}

// A server that gets one message further with each answer is not followed to
// the end of all numbers.
func TestMessageLimitWithoutEnd(t *testing.T) {
	countdown := func(_ string, n int) string { return fmt.Sprintf("OK [MESSAGELIMIT 1 %d] partly", 4294967295-n) }
	s, o := obeying(countdown)
	s.exists = 0
	if _, err := s.UIDSearchAll(context.Background()); !errors.Is(err, ErrLimit) || s.Err() != nil ||
		o.n > MaxContinued+10 {
		t.Errorf("%v after %d searches, session %v", err, o.n, s.Err())
	}
	s, o = obeying(countdown)
	err := s.UIDFetch(context.Background(), goimap.UIDSet{{Start: 1, Stop: 4294967295}}, nil, FetchHandler{})
	if !errors.Is(err, ErrLimit) || s.Err() != nil || o.n > MaxContinued+10 {
		t.Errorf("%v after %d fetches, session %v", err, o.n, s.Err())
	}
}

// A set that takes thousands of commands is not copied for each of them, nor
// where each of them is left over in part.
func TestLongSet(t *testing.T) {
	set := make(goimap.UIDSet, 100_000)
	for i := range set {
		set[i] = goimap.UIDRange{Start: goimap.UID(4*i + 1), Stop: goimap.UID(4*i + 2)}
	}
	limited := 0
	for name, say := range map[string]func(string, int) string{
		"whole": func(string, int) string { return "OK done" },
		"partly": func(command string, _ int) string {
			var first, last int
			if _, err := fmt.Sscanf(command, "UID FETCH %d:%d,", &first, &last); err != nil {
				return "OK done"
			}
			limited++
			return fmt.Sprintf("OK [MESSAGELIMIT 1000 %d] partly", last+2)
		},
	} {
		s, o := obeying(say)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := s.UIDFetch(context.Background(), set, nil, FetchHandler{})
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d commands, %d MiB allocated", name, o.n, allocated>>20)
		if err != nil || o.n < 1000 {
			t.Errorf("%s: %v after %d commands", name, err, o.n)
		}
		if allocated > 64<<20 && !form.Race {
			t.Errorf("%s: %d MiB allocated", name, allocated>>20)
		}
	}
	if limited < 1000 {
		t.Errorf("%d were left over", limited)
	}
}

// Bodies that nobody takes count for the command: a server that sends them for
// ever comes to an end.
func TestUnwantedBodies(t *testing.T) {
	for _, takes := range []bool{true, false} {
		s, _ := dial(t, Options{Limits: Limits{Command: 10_000}}, func(p *peer) {
			tag, _ := p.next()
			for range 20 {
				p.say("* 1 FETCH (UID 1 BODY[] {1000}", strings.Repeat("x", 1000)+")")
			}
			p.say(tag + " OK done")
			p.untilGone()
		})
		take := FetchHandler{Body: func(_ *Message, _ string, _ int64, r io.Reader) error {
			if takes {
				_, err := io.Copy(io.Discard, r)
				return err
			}
			return nil
		}}
		err := s.UIDFetch(context.Background(), goimap.UIDSetNum(1), []Item{ItemBody}, take)
		if takes != (err == nil) || !takes && !errors.Is(err, ErrLimit) {
			t.Errorf("taken %v: %v", takes, err)
		}
	}
}

// The flags of one message have a limit in octets too.
func TestFlagOctets(t *testing.T) {
	flag := " $" + strings.Repeat("f", 254)
	for _, test := range []struct {
		n  int
		ok bool
	}{{MaxFlagOctets / 256, true}, {MaxFlagOctets/256 + 1, false}} {
		s, _ := dial(t, Options{}, func(p *peer) {
			p.answer("* 1 FETCH (UID 1 FLAGS (" + strings.Repeat(flag, test.n)[1:] + "))")
			p.untilGone()
		})
		err := s.UIDFetch(context.Background(), goimap.UIDSetNum(1), []Item{ItemState}, FetchHandler{})
		if test.ok != (err == nil) || !test.ok && !errors.Is(err, ErrLimit) {
			t.Errorf("%d flags: %v", test.n, err)
		}
	}
}
