package engine

import (
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/testkit/script"
)

var bodyResponse = regexp.MustCompile(`^(\* \d+ FETCH \(UID \d+)(.*)( BODY\[\] \{\d+\})$`)

// apart says the items of each message that comes with its body in responses of their own, before the body or
// behind it, in pieces if each item has its own.
func apart(behind, each bool) script.Faults {
	held := ""
	return script.Faults{Line: func(c script.Command, line string) string {
		if line == ")" && held != "" {
			line, held = line+"\r\n"+held, ""
		}
		parts := bodyResponse.FindStringSubmatch(line)
		if parts == nil || !strings.Contains(c.Args, "BODY.PEEK[]") {
			return line
		}
		items := []string{parts[2]}
		if each {
			items = regexp.MustCompile(` (FLAGS \([^)]*\)|MODSEQ \([^)]*\)|INTERNALDATE "[^"]*"|RFC822.SIZE \d+)`).
				FindAllString(parts[2], -1)
		}
		said := parts[1] + strings.Join(items, ")\r\n"+parts[1]) + ")"
		if behind {
			held = said
			return parts[1] + parts[3]
		}
		return said + "\r\n" + parts[1] + parts[3]
	}}
}

// TestItemsApart: the items of one message come in several responses: the store has all of them, and nothing is
// asked for again.
func TestItemsApart(t *testing.T) {
	for name, f := range map[string]script.Faults{"before": apart(false, false), "behind": apart(true, false),
		"each before": apart(false, true), "each behind": apart(true, true)} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 120, script.Options{}, Options{})
			s.Misbehave(f)
			w.complete()
			w.equals(s)
			if got := w.text(`SELECT count(*) FROM mail
				WHERE date <> strftime('%Y-%m-%dT%H:%M:00.000Z', '2024-01-01', '+' || uid || ' minutes')
				AND date <> strftime('%Y-%m-%dT%H:%M:00Z', '2024-01-01', '+' || uid || ' minutes')`); got != "0" {
				t.Errorf("%s dates are wrong: %s", got, w.text(`SELECT date FROM mail LIMIT 2`))
			}
			if n := s.Count("UID FETCH"); n != 1 {
				t.Errorf("%d FETCH", n)
			}
			opened := s.Count("EXAMINE")
			w.complete()
			if s.Count("EXAMINE") != opened {
				t.Error("it is not vouched for")
			}
		})
	}
}

// TestCutApart: a body that is cut off is not taken for the message, wherever its size is said.
func TestCutApart(t *testing.T) {
	for name, f := range map[string]script.Faults{"before": apart(false, false), "behind": apart(true, false)} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 5, script.Options{}, Options{})
			var cut atomic.Int32
			f.Message = func(_ string, uid uint32) script.Fault {
				if uid == 3 && cut.Add(1) == 1 {
					return script.Half
				}
				return script.Whole
			}
			s.Misbehave(f)
			w.complete()
			w.equals(s)
			if cut.Load() < 2 {
				t.Error("it was not asked for again")
			}
		})
	}
}

// TestTwoBodies: two bodies under one UID in one answer: the first is stored, and that there was another is recorded.
func TestTwoBodies(t *testing.T) {
	const other = "Subject: another\r\n\r\nNot the message.\r\n"
	for name, second := range map[string]string{
		"in a response of its own": ")\r\n* 3 FETCH (UID 3 FLAGS ($Other) BODY[] {38}\r\n" + other + ")",
		"UID behind the body":      ")\r\n* 3 FETCH (BODY[] {38}\r\n" + other + " UID 3)",
		"in one response":          " BODY[] {38}\r\n" + other + ")",
	} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 5, script.Options{}, Options{})
			third := false
			s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
				switch {
				case bodyResponse.MatchString(line):
					third = strings.Contains(line, "(UID 3 ")
				case line == ")" && third:
					return second
				}
				return line
			}})
			w.complete()
			if got := w.text(`SELECT count(*) FROM mail WHERE subject = 'another'`); got != "0" {
				t.Error("the second is stored")
			}
			if got := w.text(`SELECT count(*) FROM sync_error
				WHERE uid = 3 AND detail LIKE '%two bodies%'`); got != "1" {
				t.Errorf("recorded %s times", got)
			}
		})
	}
}
