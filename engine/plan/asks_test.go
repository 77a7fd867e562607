package plan

import (
	"testing"
	"time"

	"mailcote/storage"
)

// TestAsks: when a pass asks the server for a mailbox.
func TestAsks(t *testing.T) {
	now := time.Now()
	refused := func(ago time.Duration, synced bool) storage.Mailbox {
		return storage.Mailbox{Synced: synced, Refused: "NO [NOPERM] no", RefusedAt: now.Add(-ago)}
	}
	for name, test := range map[string]struct {
		m     storage.Mailbox
		named bool
		want  bool
	}{
		"any":                           {storage.Mailbox{Synced: true}, false, true},
		"left out":                      {storage.Mailbox{}, false, false},
		"left out and named":            {storage.Mailbox{}, true, false},
		"refused just now":              {refused(0, true), false, false},
		"refused just now and named":    {refused(0, true), true, true},
		"refused for less than a day":   {refused(AskRefused-1, true), false, false},
		"refused for a day":             {refused(AskRefused, true), false, true},
		"refused for a day, left out":   {refused(AskRefused, false), false, false},
		"refused in the clock's future": {refused(-time.Hour, true), false, true},
	} {
		if got := Asks(test.m, now, test.named); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
