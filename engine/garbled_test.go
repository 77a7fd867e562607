package engine

import (
	"strings"
	"testing"

	"mailcote/testkit/script"
)

// garbles replaces the LIST response of a mailbox.
func garbles(box, by string) script.Faults {
	return script.Faults{Line: func(c script.Command, line string) string {
		if c.Name == "LIST" && strings.HasPrefix(line, "* LIST") && strings.Contains(line, `"`+box+`"`) {
			return by + "\r\n"
		}
		return line
	}}
}

// TestListLineUnreadable: a line of LIST that cannot be read costs its mailbox one look. The others are synced, what
// is stored of it stays, mailboxes that are gone stay too until the list can be read, and one error says so.
func TestListLineUnreadable(t *testing.T) {
	for name, line := range map[string]string{
		"a list without an end":  `* LIST (\HasNoChildren "/" "Team"`,
		"a quote without an end": `* LIST () "/" "Team`,
		"no name":                `* LIST () "/"`,
		"nothing":                `* LIST`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{}, "Archive", "Team", "Old")
			w.complete()
			s.Misbehave(garbles("Team", line))
			put(s, "Archive", 3)
			put(s, "Team", 1)
			s.Change(func(m *script.Model) { m.Drop("Old") })
			for range 2 {
				if sum := w.sync(); sum.Result != Partial || !strings.Contains(sum.Detail, "cannot be read") {
					t.Errorf("%+v", sum)
				}
			}
			if w.stored("Archive") != "5" || w.stored("Team") != "2" || w.stored("Old") != "2" {
				t.Errorf("Archive %s, Team %s, Old %s", w.stored("Archive"), w.stored("Team"), w.stored("Old"))
			}
			if f := w.faults(); len(f) != 1 || f[0].Command != "LIST" || f[0].NextStep == "" {
				t.Errorf("%+v", f)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}

// TestListLineUnreadableIsNoRename: a mailbox whose line cannot be read is still there, though another one is its
// exact copy.
func TestListLineUnreadableIsNoRename(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Team")
	put(s, "Team", 18)
	w.complete()
	s.Change(func(m *script.Model) {
		b := m.Box("Copy")
		*b = *m.Box("Team")
		b.Name = "Copy"
	})
	s.Misbehave(garbles("Team", `* LIST (\Marked "/" "Team"`))
	if sum := w.sync(); sum.Result != Partial || sum.Fetched != 20 {
		t.Errorf("%+v", sum)
	}
	if w.stored("Team") != "20" || w.stored("Copy") != "20" {
		t.Errorf("Team %s, Copy %s", w.stored("Team"), w.stored("Copy"))
	}
}

// TestListLineUnreadableAtFirst: so it is in a first sync, and in the second list that a loss of much mail asks for.
func TestListLineUnreadableAtFirst(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive", "Team")
	s.Misbehave(garbles("Team", `* LIST (\Marked "/" "Team"`))
	if sum := w.sync(); sum.Result != Partial || sum.Fetched != 4 {
		t.Errorf("%+v", sum)
	}
	s.Misbehave(script.Faults{})
	put(s, "Bulk", 200)
	w.complete()
	bulk := garbles("Bulk", `* LIST (\Marked "/" "Bulk"`)
	first := s.Connections() + 1
	s.Misbehave(script.Faults{Line: func(c script.Command, line string) string {
		if c.Connection != first {
			return bulk.Line(c, line)
		}
		if c.Name == "LIST" && strings.Contains(line, `"Bulk"`) {
			return ""
		}
		return line
	}})
	if sum := w.sync(); sum.Result != Partial || w.stored("Bulk") != "200" {
		t.Errorf("%s in Bulk, %+v", w.stored("Bulk"), sum)
	}
	s.Misbehave(script.Faults{})
	w.complete()
	w.equals(s)
}
