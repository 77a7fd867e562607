package engine

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/cyrus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/truth"
)

// TestRenamesDownloadNothing: a large mailbox gets another name, swaps names with another one, and their parent gets
// another name. No body comes again, and every email keeps its id.
func TestRenamesDownloadNothing(t *testing.T) {
	count := 300
	if form.Long() {
		count = 20_000
	}
	for _, c := range []struct {
		name  string
		start func(t *testing.T) realServer
	}{
		{"Cyrus", func(t *testing.T) realServer {
			s := cyrus.Start(t)
			other := clientOf(t, s)
			for _, box := range []string{"Parent", "Parent/Large", "Parent/Small"} {
				must(t, other.Create(box))
			}
			appendAll(t, other, "Parent/Large", count)
			appendAll(t, other, "Parent/Small", count/10)
			return s
		}},
		{"Dovecot", func(t *testing.T) realServer {
			s := dovecot.Start(t, dovecot.Config{})
			for box, n := range map[string]int{"Parent/Large": count, "Parent/Small": count / 10} {
				for i := range n {
					s.Deliver(t, dovecot.User, box, mail(box, uint32(i)), dovecot.Options{Date: day(box, i)})
				}
			}
			return s
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.start(t)
			w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(s.Host(), s.Port())
			w.complete()
			w.is(s)
			emails, other := w.emails(), clientOf(t, s)
			for _, step := range []struct {
				name    string
				renames [][2]string
			}{
				{"another name", [][2]string{{"Parent/Large", "Parent/Renamed"}}},
				{"a swap", [][2]string{{"Parent/Renamed", "Parent/Between"}, {"Parent/Small", "Parent/Renamed"},
					{"Parent/Between", "Parent/Small"}}},
				{"a parent's other name", [][2]string{{"Parent", "Elder"}}},
				{"a new mailbox in the old place", [][2]string{{"Elder/Small", "Elder/Last"}, {"Elder/Renamed",
					"Elder/Small"}}},
			} {
				for _, r := range step.renames {
					must(t, other.Rename(r[0], r[1]))
				}
				sum := w.complete()
				t.Logf("%s: %d fetched, %d bytes, %.1f s", step.name, sum.Fetched, sum.Wire, sum.Seconds)
				if sum.Fetched != 0 {
					t.Errorf("%s: %d messages came again", step.name, sum.Fetched)
				}
				if w.emails() != emails {
					t.Errorf("%s: emails have other ids", step.name)
				}
				w.is(s)
			}
		})
	}
}

// day is a date that no other message of the two mailboxes has: mailboxes whose messages look the same are not told
// from each other.
func day(box string, n int) time.Time {
	year := 2000
	if strings.HasSuffix(box, "Small") {
		year = 2010
	}
	return time.Date(year, 1, 1, n, 0, 0, 0, time.UTC)
}

// appendAll appends n messages, a thousand a command (RFC 3502).
func appendAll(t *testing.T, c *truth.Client, box string, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		var b strings.Builder
		fmt.Fprintf(&b, "APPEND %s", truth.Quote(truth.EncodeName(box)))
		for i := from; i < min(n, from+1000); i++ {
			raw := mail(box, uint32(i))
			fmt.Fprintf(&b, ` "%s" {%d}`+"\r\n%s", day(box, i).Format("_2-Jan-2006 15:04:05 -0700"), len(raw), raw)
		}
		if _, err := c.Do(b.String()); err != nil {
			t.Fatal(err)
		}
	}
}
