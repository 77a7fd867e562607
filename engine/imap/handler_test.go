package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	goimap "github.com/emersion/go-imap/v2"
)

// heard notes what a handler or an observer is told, in order.
type heard []string

func (h *heard) handler() FetchHandler {
	return FetchHandler{
		Body: func(m *Message, _ string, _ int64, r io.Reader) error {
			b, err := io.ReadAll(r)
			*h = append(*h, fmt.Sprintf("body of %d: %s", m.UID, b))
			return err
		},
		Fetch: h.fetched,
	}
}

func (h *heard) fetched(m *Message) error {
	*h = append(*h, fmt.Sprintf("end of %d", m.UID))
	return nil
}

func (h *heard) observer() Observer {
	return Observer{
		Fetch:  h.fetched,
		Exists: func(n uint32) { *h = append(*h, fmt.Sprintf("exists %d", n)) },
		Status: func(st Status) { *h = append(*h, st.Type+" "+st.Code) },
	}
}

// TestFetchesInFlight: with two FETCHes open, what comes goes by its UID,
// whichever of them is waited for.
func TestFetchesInFlight(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		first, second         string // sets
		flags                 bool   // the first takes no bodies
		answer                string
		toFirst, toSecond, to heard // to: the observer
	}{
		{
			name: "apart", first: "1:3", second: "4:6",
			answer: "* 1 FETCH (UID 5 BODY[] {1}\r\ne)\r\n* 2 FETCH (UID 2 BODY[] {1}\r\nb)\r\n" +
				"* 3 FETCH (UID 4 FLAGS ())\r\n",
			toFirst: heard{"body of 2: b", "end of 2"}, toSecond: heard{"body of 5: e", "end of 5", "end of 4"},
		}, {
			name: "not asked for", first: "1:3", second: "7",
			answer: "* 9 FETCH (UID 5 BODY[] {1}\r\ne)\r\n* 9 FETCH (FLAGS ())\r\n* 9 FETCH (FLAGS () UID 6)\r\n" +
				"* 9 EXISTS\r\n" +
				"* OK [ALERT] news\r\n* 7 FETCH (UID 7)\r\n",
			toSecond: heard{"end of 7"}, to: heard{"end of 5", "end of 0", "end of 6", "exists 9", "OK ALERT"},
		}, {
			name: "overlapping", first: "1:5", second: "4:6",
			answer: "* 1 FETCH (UID 4 BODY[] {1}\r\nd)\r\n* 2 FETCH (UID 6 BODY[] {1}\r\nf)\r\n" +
				"* 3 FETCH (UID 5 FLAGS ())\r\n",
			toFirst: heard{"body of 4: d", "end of 4", "end of 5"}, toSecond: heard{"body of 6: f", "end of 6"},
		}, {
			name: "overlapping, bodies wanted by one", first: "1:5", second: "4:6", flags: true,
			answer: "* 1 FETCH (UID 4 BODY[] {1}\r\nd)\r\n* 2 FETCH (BODY[] {1}\r\nf UID 6)\r\n" +
				"* 3 FETCH (UID 5 FLAGS ())\r\n" +
				"* 4 FETCH (UID 2 BODY[] {1}\r\nb)\r\n",
			toFirst: heard{"end of 5", "end of 2"}, toSecond: heard{"body of 4: d", "end of 4", "body of 0: f",
				"end of 6"},
		}, {
			name: "a body before its UID", first: "1:3", second: "4:6", // the first has to see that it is not its own
			answer:  "* 1 FETCH (BODY[] {1}\r\ne UID 5)\r\n* 2 FETCH (UID 4)\r\n* 3 FETCH (BODY[] {1}\r\nx UID 9)\r\n",
			toFirst: heard{"body of 0: e", "end of 5", "body of 0: x", "end of 9"}, toSecond: heard{"end of 4"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := dial(t, Options{}, func(p *peer) {
				one, _ := p.next()
				two, _ := p.next()
				p.raw(tt.answer)
				p.say(one+" OK", two+" OK")
				p.untilGone()
			})
			var first, second, others heard
			var tags []string
			s.Observe(others.observer())
			for _, set := range []string{tt.first, tt.second} {
				uids, err := parseSet(set)
				if err != nil {
					t.Fatal(err)
				}
				take := second.handler()
				if len(tags) == 0 {
					if take = first.handler(); tt.flags {
						take.Body = nil
					}
				}
				defer s.addFetch(uids, take)()
				tag, err := s.Send(t.Context(), "UID FETCH "+set+" (FLAGS BODY.PEEK[])")
				if err != nil {
					t.Fatal(err)
				}
				tags = append(tags, tag)
			}
			for _, tag := range []string{tags[1], tags[0]} { // the later one is waited for first
				if _, err := s.Wait(t.Context(), tag); err != nil {
					t.Fatal(err)
				}
			}
			tt.to = append(tt.to, "OK ", "OK ")
			for who, got := range map[string][2]heard{
				"first": {tt.toFirst, first}, "second": {tt.toSecond, second}, "observer": {tt.to, others},
			} {
				if d := cmp.Diff(got[0], got[1]); d != "" {
					t.Errorf("%s: %s", who, d)
				}
			}
		})
	}
}

// TestLateData: what comes behind the answer to a FETCH does not go to its
// handler, whatever the answer was.
func TestLateData(t *testing.T) {
	for _, answer := range []string{"OK done", "NO [SERVERBUG] no", "BAD what"} {
		s, _ := dial(t, Options{}, func(p *peer) {
			tag, _ := p.next()
			p.say("* 1 FETCH (UID 1 BODY[] {1}", "a)", tag+" "+answer)
			p.answer("* 2 FETCH (UID 2 BODY[] {1}", "b)")
		})
		var took, others heard
		s.Observe(others.observer())
		err := s.UIDFetch(t.Context(), goimap.UIDSet{{Start: 1, Stop: 3}}, []Item{ItemBody}, took.handler())
		if st := (*StatusError)(nil); err != nil && !errors.As(err, &st) {
			t.Fatal(err)
		}
		others = nil
		if err := s.Noop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(heard{"body of 1: a", "end of 1"}, took); d != "" {
			t.Errorf("%s: the handler: %s", answer, d)
		}
		if d := cmp.Diff(heard{"end of 2", "OK "}, others); d != "" {
			t.Errorf("%s: the observer: %s", answer, d)
		}
	}
}

// TestCancelledFetch: a handler is told nothing once its cancelled call has
// returned.
func TestCancelledFetch(t *testing.T) {
	s, _ := dial(t, Options{}, func(p *peer) {
		p.next()
		p.say("* 1 FETCH (UID 1)")
		p.untilGone()
	})
	ctx, cancel := context.WithCancel(t.Context())
	var took heard
	take := took.handler()
	take.Fetch = func(m *Message) error { cancel(); return took.fetched(m) }
	if err := s.UIDFetch(ctx, all, []Item{ItemBody}, take); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if s.fetchTaker(1) != nil || s.bodyFetchOf(0) != nil {
		t.Error("it still takes messages")
	}
	if d := cmp.Diff(heard{"end of 1"}, took); d != "" {
		t.Error(d)
	}
}

// TestObserverEndsWithMailbox: an observer hears nothing from the moment
// another mailbox is opened.
func TestObserverEndsWithMailbox(t *testing.T) {
	s, _ := dial(t, Options{}, func(p *peer) {
		p.answer("* 1 EXISTS")
		p.answer("* 2 EXISTS")
		p.answer("* 3 EXPUNGE", "* 3 EXISTS")
		p.answer("* 4 EXISTS")
	})
	if _, err := s.Examine(t.Context(), "a", false); err != nil {
		t.Fatal(err)
	}
	var news heard
	s.Observe(news.observer())
	if err := s.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Examine(t.Context(), "b", false); err != nil {
		t.Fatal(err)
	}
	if err := s.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(heard{"exists 2", "OK "}, news); d != "" {
		t.Error(d)
	}
}

// TestBodiesNobodyAskedFor: bodies of messages that were not asked for count
// for the command, which has a limit.
func TestBodiesNobodyAskedFor(t *testing.T) {
	for uid, ok := range map[int]bool{1: true, 2: false} {
		s, _ := dial(t, Options{Limits: Limits{Command: 10_000}}, func(p *peer) {
			tag, _ := p.next()
			for range 20 {
				p.say(fmt.Sprintf("* 1 FETCH (UID %d BODY[] {1000}", uid), strings.Repeat("x", 1000)+")")
			}
			p.say(tag + " OK done")
			p.untilGone()
		})
		var took heard
		err := s.UIDFetch(t.Context(), goimap.UIDSetNum(1), []Item{ItemBody}, took.handler())
		if ok != (err == nil) || !ok && (!errors.Is(err, ErrLimit) || len(took) > 0) {
			t.Errorf("UID %d: %v, the handler heard %.80q", uid, err, took)
		}
	}
}
