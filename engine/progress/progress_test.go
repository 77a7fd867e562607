package progress

import (
	"slices"
	"testing"

	"mailcote/engine/connpool"
)

// TestRetain: mailboxes that are gone are not shown, those that stay keep their figures, and one may come back.
func TestRetain(t *testing.T) {
	p := New()
	for i, path := range []string{"a", "b", "c"} {
		p.Mailbox("x", path, int64(i), 10)
	}
	p.Retain("x", map[string]bool{"a": true, "c": true})
	p.Fetched("x", "b", 5, 1)
	p.Fetched("x", "c", 5, 1)
	p.Mailbox("x", "b", 1, 2)
	want := []Mailbox{{"a", 0, 10}, {"c", 7, 10}, {"b", 1, 2}}
	got := p.Snapshot()[0].Mailboxes
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}

// TestChanged: whoever waits is woken by every kind of change, and one look after it sees all of them.
func TestChanged(t *testing.T) {
	p := New()
	for name, change := range map[string]func(){
		"state":     func() { p.State("x", Syncing, "") },
		"mailbox":   func() { p.Mailbox("x", "INBOX", 1, 2) },
		"fetched":   func() { p.Fetched("x", "INBOX", 1, 10) },
		"unindexed": func() { p.SetUnindexed(7) },
		"outdated":  func() { p.SetOutdated(7) },
		"elsewhere": p.Touch,
	} {
		changed := p.Changed()
		if p.Changed() != changed {
			t.Errorf("%s: two waiters have two channels", name)
		}
		select {
		case <-changed:
			t.Errorf("%s: told before it changed", name)
		default:
		}
		change()
		change()
		select {
		case <-changed:
		default:
			t.Errorf("%s: not told", name)
		}
	}
	quiet := p.Changed()
	p.SetUnindexed(7)
	p.SetOutdated(7)
	select {
	case <-quiet:
		t.Error("told of a figure that stayed")
	default:
	}
}

// What a pool of connections does is shown as a state.
func TestPoolStates(t *testing.T) {
	for _, doing := range []connpool.Doing{connpool.Waiting, connpool.Connecting, connpool.SigningIn} {
		if !slices.Contains(States(), State(doing)) {
			t.Errorf("%q is no state", doing)
		}
	}
}
