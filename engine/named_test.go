package engine

import (
	"strings"
	"testing"

	"mailcote/testkit/script"
)

// TestOnlyAName: a mailbox that was deleted while it has children is listed like any other, without its STATUS.
// STATUS and EXAMINE say that it does not exist. Its mail leaves, and comes back with it.
func TestOnlyAName(t *testing.T) {
	for name, words := range map[string]string{
		"without a code": "NO Mailbox doesn't exist: Team", "with its code": "NO [NONEXISTENT] no such mailbox",
	} {
		t.Run(name, func(t *testing.T) {
			s, w := several(t, script.Options{}, Options{}, "Archive", "Team", "Team/Sub")
			w.complete()
			all := w.text(`SELECT count(*) FROM mail`)
			deleted := func(c script.Command) bool { return asks("Team", "EXAMINE")(c) || asks("Team", "STATUS")(c) }
			s.Misbehave(script.Faults{On: on(deleted, script.Action(words)),
				Line: func(c script.Command, line string) string {
					if c.Name == "LIST" && strings.HasPrefix(line, `* STATUS "Team" `) {
						return ""
					}
					return line
				}})
			for range 2 {
				w.complete()
				if n := w.text(`SELECT count(*) FROM mail WHERE mailbox = 'Team'`); n != "0" {
					t.Fatalf("%s messages of a mailbox that does not exist", n)
				}
			}
			if n := len(w.faults()); n > 0 {
				t.Errorf("faults: %+v", w.faults())
			}
			s.Misbehave(script.Faults{})
			if sum := w.complete(); sum.Fetched != 0 || w.text(`SELECT count(*) FROM mail`) != all {
				t.Errorf("the mailbox is back: %+v, %s of %s messages", sum, w.text(`SELECT count(*) FROM mail`), all)
			}
		})
	}
}

// TestOnlyANameOfMostMail: most of the account's mail does not leave at the word of STATUS.
func TestOnlyANameOfMostMail(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Team")
	put(s, "Team", 300)
	w.complete()
	before := w.text(`SELECT count(*) FROM mail`)
	s.Misbehave(script.Faults{On: on(asks("Team", "STATUS"), "NO [NONEXISTENT] no such mailbox"),
		Line: func(c script.Command, line string) string {
			if c.Name == "LIST" && strings.HasPrefix(line, `* STATUS "Team" `) {
				return ""
			}
			return line
		}})
	w.sync()
	if after := w.text(`SELECT count(*) FROM mail`); after != before {
		t.Errorf("%s of %s messages are left", after, before)
	}
}
