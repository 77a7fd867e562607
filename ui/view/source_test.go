package view

import (
	"testing"
	"time"

	"mailcote/engine"
	"mailcote/storage"
)

func TestNames(t *testing.T) {
	for senders, want := range map[string]string{
		"Ada <ada@example.org>": "Ada", "ada@example.org": "ada@example.org", "Ada <a@x>, Bob <b@x>": "Ada, Bob", "": "", "Müller, Anna <a@x>": "Müller, Anna",
	} {
		if got := names(senders); got != want {
			t.Errorf("%q: %q, want %q", senders, got, want)
		}
	}
}

// TestStateOf: an account that is let be, for a moment or while the network is away, is never called up to date.
func TestStateOf(t *testing.T) {
	at := time.Date(2026, 11, 26, 2, 44, 46, 0, time.Local)
	for _, c := range []struct {
		live   engine.AccountProgress
		state  State
		detail string
	}{
		{engine.AccountProgress{State: "idle", Note: "done"}, StateIdle, ""},
		{engine.AccountProgress{State: "syncing", Note: "INBOX"}, StateSyncing, "INBOX"},
		{engine.AccountProgress{State: "waiting", Note: "refused", Until: at}, StateWaiting, "refused; tried again at 02:44:46"},
		{engine.AccountProgress{State: "waiting", Until: at}, StateWaiting, "tried again at 02:44:46"},
		{engine.AccountProgress{State: "offline", Note: "no route", Until: at}, StateWaiting, "offline: no route; tried again at 02:44:46"},
		{engine.AccountProgress{State: "failed", Note: "why"}, StateFailed, "why"},
	} {
		if state, detail := stateOf(storage.Account{}, c.live); state != c.state || detail != c.detail {
			t.Errorf("%+v: %s %q, want %s %q", c.live, state, detail, c.state, c.detail)
		}
	}
}
