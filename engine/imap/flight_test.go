package imap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
)

// TestStatuses: several STATUS are in flight at once, each answer is of its own mailbox, and a refusal is one of them.
func TestStatuses(t *testing.T) {
	raws := []string{"b", "gone", "M\xfcll", "inbox", "silent"}
	for range 2 * maxFlight {
		raws = append(raws, fmt.Sprintf("box %d", len(raws)))
	}
	s, p := offering(t, "", func(p *peer) {
		first, _ := p.next() // nothing is answered until the flight is here
		second, _ := p.next()
		p.say("* STATUS b (MESSAGES 1)", first+" OK done", "* STATUS INBOX (MESSAGES 4)",
			second+" NO [NONEXISTENT] none")
		for i := 2; i < len(raws); i++ {
			tag, rest := p.next()
			if strings.HasSuffix(rest, "{4}") {
				p.say("+ go on")
				_, _ = p.next()
			}
			if raws[i] != "silent" {
				p.say(fmt.Sprintf("* STATUS {%d}\r\n%s (MESSAGES %d)", len(raws[i]), raws[i], i+1))
			}
			p.say(tag + " OK done")
		}
	})
	all, err := s.Statuses(context.Background(), raws, []string{"MESSAGES"})
	if err != nil || len(all) != len(raws) {
		t.Fatalf("%d answers, %v, sent %q", len(all), err, p.lines())
	}
	for i, a := range all {
		refusal := (*StatusError)(nil)
		switch raws[i] {
		case "gone":
			if !errors.As(a.Err, &refusal) || refusal.Code != "NONEXISTENT" || a.HasMessages {
				t.Errorf("gone: %+v", a)
			}
		case "silent":
			if a != (StatusAnswer{}) {
				t.Errorf("silent: %+v", a)
			}
		default:
			if a.Err != nil || a.Messages != uint32(i+1) {
				t.Errorf("%q: %+v", raws[i], a)
			}
		}
	}
}

// TestStatusesOneByOne: a server that cannot take several commands gets one at a time. What came before the
// connection ends counts.
func TestStatusesOneByOne(t *testing.T) {
	s, p := offering(t, "", func(p *peer) {
		for _, box := range []string{"a", "b"} {
			p.answer("* STATUS " + box + " (MESSAGES 1)")
		}
		_, _ = p.next()
		p.c.Close()
	})
	s.SetManners(Manners{OneByOne: true})
	all, err := s.Statuses(context.Background(), []string{"a", "b", "c", "d"}, []string{"MESSAGES"})
	if err == nil || s.Err() == nil || len(all) != 2 || len(p.lines()) != 3 {
		t.Errorf("%d answers, %v, sent %q", len(all), err, p.lines())
	}
}

// TestGlances: each mailbox gets its own flags, a refused one none that count, and no mailbox is open in the end.
func TestGlances(t *testing.T) {
	for _, alone := range []bool{false, true} {
		s, p := offering(t, "", func(p *peer) {
			for i, box := range []string{"A", "refused", "C"} {
				open, fetch := "", ""
				if open, _ = p.next(); !alone {
					fetch, _ = p.next()
				}
				if box == "refused" {
					p.say(open + " NO [NOPERM] not yours")
				} else {
					p.say(fmt.Sprintf("* %d EXISTS", i+1), fmt.Sprintf("* OK [UIDVALIDITY %d] this", 10+i),
						open+" OK done")
				}
				if alone {
					fetch, _ = p.next()
				}
				p.say(fmt.Sprintf("* 1 FETCH (UID 5 FLAGS ($%s))", box), "* 2 FETCH (UID 9 FLAGS ($Unasked))",
					fetch+" OK done")
			}
		})
		s.SetManners(Manners{OneByOne: alone})
		said := map[string][]string{}
		var all []*Glance
		for _, box := range []string{"A", "refused", "M\xfcll", "C"} {
			all = append(all, &Glance{Raw: box, UIDs: goimap.UIDRange{Start: 4, Stop: 6}, Take: func(m *Message) error {
				said[box] = append(said[box], fmt.Sprint(m.UID, m.Flags))
				return nil
			}})
		}
		if err := s.Glances(context.Background(), all); err != nil {
			t.Fatalf("%v, sent %q", err, p.lines())
		}
		if fmt.Sprint(said["A"], said["C"]) != "[5 [$A]] [5 [$C]]" || all[0].Selected.UIDValidity != 10 ||
			all[3].Selected.UIDValidity != 12 || all[3].Selected.Exists != 3 || all[0].Err != nil || !all[3].Answered {
			t.Errorf("%v, %+v, %+v", said, all[0], all[3])
		}
		if refusal := (*StatusError)(nil); !errors.As(all[1].Err, &refusal) || refusal.Command != "EXAMINE" {
			t.Errorf("refused: %+v", all[1])
		}
		if all[2].Answered || all[2].Err != nil {
			t.Errorf("its name needs a literal: %+v", all[2])
		}
		if s.State() != Authenticated {
			t.Errorf("state %v", s.State())
		}
	}
}
