package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
)

// book is a Meter that notes what it is told.
type book struct {
	refuse error
	notes  []string
	octets int64
}

func (b *book) Before(_ context.Context, command string) error {
	b.notes = append(b.notes, "before "+command)
	return b.refuse
}

func (b *book) Answered(command string, st Status, _ time.Duration) {
	b.notes = append(b.notes, command+" "+st.Type+" "+st.Code)
}

func (b *book) Received(octets int) { b.octets += int64(octets) }

// A meter is asked before each command and told of each answer and every octet.
// What it refuses is not sent, and the session lives.
func TestMeter(t *testing.T) {
	b := &book{}
	s, p := dial(t, Options{Meter: b}, func(p *peer) {
		for {
			tag, _ := p.next()
			if tag == "" {
				return
			}
			p.say("* OK [ALERT] news", tag+" OK [THROTTLED] done")
		}
	})
	b.notes = nil
	if err := s.Noop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"before NOOP", " OK ALERT", "NOOP OK THROTTLED"}; !slices.Equal(b.notes, want) {
		t.Errorf("%q, want %q", b.notes, want)
	}
	if b.octets != s.BytesRead() || b.octets == 0 {
		t.Errorf("%d octets of %d", b.octets, s.BytesRead())
	}
	sent := len(p.lines())
	b.refuse = errors.New("enough for today")
	if err := s.Noop(context.Background()); !errors.Is(err, b.refuse) || len(p.lines()) != sent {
		t.Errorf("%v, %d lines more", err, len(p.lines())-sent)
	}
	b.refuse = nil
	if err := s.Noop(context.Background()); err != nil {
		t.Error(err)
	}
}

// What a server left over for its MESSAGELIMIT is asked for again; one that
// gets nowhere is not asked for ever.
func TestMessageLimit(t *testing.T) {
	for _, c := range []struct {
		code string // of each answer but the last
		want []string
	}{
		{"MESSAGELIMIT 2 8", []string{"3:5,8:9", "3:5"}},
		{"MESSAGELIMIT 2 4", []string{"3:5,8:9", "3"}},
		{"MESSAGELIMIT 2 20", []string{"3:5,8:9"}},
		{"MESSAGELIMIT 2", []string{"3:5,8:9"}},
		{"MESSAGELIMIT 2 0", []string{"3:5,8:9"}},
		{"MESSAGELIMIT 2 99999999999", []string{"3:5,8:9"}},
	} {
		var asked []string
		s, _ := dial(t, Options{}, func(p *peer) {
			for {
				tag, line := p.next()
				if tag == "" {
					return
				}
				var set string
				if _, err := fmt.Sscanf(line, "UID FETCH %s", &set); err != nil {
					t.Errorf("%q: %v", line, err)
				}
				if asked = append(asked, set); len(asked) == 1 {
					p.say(tag + " OK [" + c.code + "] partly")
				} else {
					p.say(tag + " OK done")
				}
			}
		})
		set := goimap.UIDSet{{Start: 3, Stop: 5}, {Start: 8, Stop: 9}}
		if err := s.UIDFetch(context.Background(), set, nil, FetchHandler{}); err != nil {
			t.Error(err)
		}
		if s.MostMessages() != 2 {
			t.Errorf("%s: at most %d", c.code, s.MostMessages())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if !slices.Equal(asked, c.want) {
			t.Errorf("%s: asked for %q, want %q", c.code, asked, c.want)
		}
	}
}
