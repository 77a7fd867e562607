package engine

import (
	"testing"

	"mailcote/testkit/script"
)

// TestUnseenNoted: the number of unseen messages that is kept is what STATUS said before the mailbox was opened.
func TestUnseenNoted(t *testing.T) {
	for name, caps := range map[string]string{"LIST-STATUS": "", "STATUS": plainCaps} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 6, script.Options{Capabilities: caps}, Options{})
			w.complete()
			w.complete() // a first sync asks for no STATUS
			if got := w.text(`SELECT pass_unseen FROM mailbox`); got != "2" && caps == "" {
				t.Errorf("unseen: %q", got)
			}
			s.Change(func(m *script.Model) { m.Box("INBOX").Flag(3, `\Seen`) })
			w.complete()
			if got := w.text(`SELECT pass_unseen FROM mailbox`); got != "1" {
				t.Errorf("unseen, after one was read: %q", got)
			}
		})
	}
}
