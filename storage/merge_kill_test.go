//go:build failpoints

package storage

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A merge that is killed on its way has not been. The message that links comes again and merges whole.
func TestFailpointsOfMerge(t *testing.T) {
	link := func(b *bed) {
		box := MailboxID(number(b.t, b.Store, "SELECT id FROM mailbox"))
		b.store(box, 7, b.linked(9, "tide", "z", "a", "b", "c"))
	}
	if path := os.Getenv("MAILCOTE_OWNS"); path != "" { // in the process that is killed
		p, err := NewPacker()
		if err != nil {
			t.Fatal(err)
		}
		link(&bed{Store: openAt(t, path, Options{}), t: t, packer: p, account: 1})
		return
	}
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newBed(t)
			b.store(b.mailbox("INBOX", 7), 7, b.linked(1, "tide", "a"), b.linked(2, "tide", "b"),
				b.linked(3, "tide", "b"), b.linked(4, "tide", "c"))
			all := `SELECT group_concat(uid || ' ' || email_id || ' ' || thread_id)
				FROM (SELECT * FROM mail ORDER BY uid)`
			before := text(t, b.Store, all)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			c := exec.Command(os.Args[0], "-test.run=^TestFailpointsOfMerge$")
			c.Env = append(os.Environ(), "MAILCOTE_OWNS="+b.Path(),
				fmt.Sprintf("MAILCOTE_FAILPOINT=storage.merging:%d:kill", n))
			if out, err := c.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("it was not killed: %v: %s", err, out)
			}
			b.Store = openAt(t, b.Path(), Options{})
			b.sound()
			if after := text(t, b.Store, all); after != before {
				t.Errorf("before the kill\n%s\nafter it\n%s", before, after)
			}
			link(b)
			b.sound()
			if got := b.partition(); got != "1 2 3 4 9" {
				t.Errorf("after the link came again: %s", got)
			}
		})
	}
}
