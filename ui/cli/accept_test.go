package cli_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
)

const quietBytes = 60_000 // what a sync with nothing to do may move, both directions

// TestAccept2000 syncs 2,000 messages in 8 mailboxes: not one line differs, a second sync moves next to nothing,
// and the server cannot tell that anybody read.
func TestAccept2000(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	wire := r.through()
	n := byLength(2000, 2000)
	size := r.fill(3, n, 8, corpus.Options{AvgSize: 5000})
	r.counts() // a first look makes Dovecot see what was delivered
	before := r.counts()
	o := r.sync()
	lines := r.truth()
	if len(lines) != n {
		t.Fatalf("the server has %d messages", len(lines))
	}
	r.whole(lines)
	if after := r.counts(); !maps.Equal(before, after) {
		t.Errorf("the counts on the server were %v and are %v", before, after)
	}
	recent := 0
	for _, c := range before {
		recent += c.Recent
	}
	if recent == 0 {
		t.Error("no message was \\Recent, so nothing shows that it stays")
	}
	r.quiet(wire.Stats().Up+wire.Stats().Down, func() int64 { return wire.Stats().Up + wire.Stats().Down })
	t.Logf("%d messages, %.1f MB in %v, %d bytes over the wire", len(lines), float64(size)/1e6, o.took,
		wire.Stats().Down)
}

// quiet wants that a further sync moves at most quietBytes.
func (r *rig) quiet(before int64, now func() int64) {
	r.t.Helper()
	o := r.sync()
	if !strings.Contains(o.out, `"fetched":0,`) {
		r.t.Errorf("a sync with nothing to do: %s", o.out)
	}
	moved := now() - before
	if moved > quietBytes {
		r.t.Errorf("a sync with nothing to do moved %d bytes, more than %d", moved, quietBytes)
	}
	r.t.Logf("a sync with nothing to do moved %d bytes in %v", moved, o.took)
}

// TestAcceptSteps adds mail in ten steps, with a sync after each.
func TestAcceptSteps(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	wire := r.through()
	total := byLength(400, 10_000)
	for step := range 10 {
		r.fill(uint64(100+step), total/10, 8, corpus.Options{AvgSize: 4000})
		before := r.counts()
		o := r.sync()
		if want := fmt.Sprintf(`"fetched":%d,`, total/10); !strings.Contains(o.out, want) {
			t.Errorf("step %d: %s lacks %s", step, o.out, want)
		}
		if after := r.counts(); !maps.Equal(before, after) {
			t.Errorf("step %d: the counts on the server were %v and are %v", step, before, after)
		}
	}
	lines := r.truth()
	if len(lines) != total {
		t.Fatalf("the server has %d messages", len(lines))
	}
	r.whole(lines)
	r.quiet(wire.Stats().Up+wire.Stats().Down, func() int64 { return wire.Stats().Up + wire.Stats().Down })
}

// TestAcceptMemory bounds the memory of a large sync.
func TestAcceptMemory(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	n := byLength(3000, 20_000)
	size := r.fill(5, n, 8, corpus.Options{AvgSize: 20_000})
	o := r.sync()
	t.Logf("%d messages, %.0f MB in %v, peak memory %.1f MiB", n, float64(size)/1e6, o.took, float64(o.rss)/(1<<20))
	if most := int64(128 << 20); o.rss > most && !form.Race {
		t.Errorf("peak memory %d bytes, more than %d", o.rss, most)
	}
	if o.rss == 0 {
		t.Log("this system does not tell peak memory")
	}
	if got := r.number(`SELECT count(*) AS n FROM mail WHERE has_body = 1`); got != int64(n) {
		t.Errorf("%d messages have a body", got)
	}
	if form.Long() {
		r.whole(r.truth())
	}
}

// TestAcceptTwins has what looks alike: another body under the same headers and size, the same mail in two
// mailboxes, two copies in one.
func TestAcceptTwins(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	letter := func(id, body string) []byte {
		return []byte("From: Ada <ada@example.org>\r\nTo: bob@example.org\r\nSubject: twins\r\nDate: Mon, 02 Jan " +
			"2023 10:00:00 +0000\r\nMessage-ID: <" + id + "@example.org>\r\n\r\n" + body + "\r\n")
	}
	when := dovecot.Options{Date: time.Date(2023, 1, 2, 10, 0, 0, 0, time.UTC)}
	one, other := letter("same", "the left one"), letter("same", "the rite one")
	both, copied := letter("both", "in two mailboxes"), letter("copied", "twice in one")
	if len(one) != len(other) {
		t.Fatal("the twins differ in size")
	}
	for _, d := range []struct {
		mailbox string
		raw     []byte
	}{{"INBOX", one}, {"INBOX", other}, {"INBOX", both}, {"Archive", both}, {"INBOX", copied}, {"INBOX", copied}} {
		r.server.Deliver(t, dovecot.User, d.mailbox, d.raw, when)
	}
	r.sync()
	lines := r.truth()
	if len(lines) != 6 {
		t.Fatalf("the server has %d messages", len(lines))
	}
	r.whole(lines)
	sum := func(raw []byte) string { s := sha256.Sum256(raw); return hex.EncodeToString(s[:]) }
	for _, c := range []struct {
		name            string
		sums            []string
		entries, emails int64
	}{
		{"other body under the same headers", []string{sum(one), sum(other)}, 2, 2},
		{"same mail in two mailboxes", []string{sum(both)}, 2, 1},
		{"two copies in one mailbox", []string{sum(copied)}, 2, 2},
	} {
		in := "'" + strings.Join(c.sums, "', '") + "'"
		entries := r.number(`SELECT count(*) AS n FROM mail WHERE sha256 IN (` + in + `)`)
		emails := r.number(`SELECT count(DISTINCT email_id) AS n FROM mail WHERE sha256 IN (` + in + `)`)
		if entries != c.entries || emails != c.emails {
			t.Errorf("%s: %d entries of %d emails, want %d of %d", c.name, entries, emails, c.entries, c.emails)
		}
	}
	r.sync()
	r.whole(lines)
}
