package imap

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	goimap "github.com/emersion/go-imap/v2"
)

// memory is a connection whose server has already said everything.
type memory struct {
	net.Conn // nil: only what is below is called
	in       io.Reader
	out      bytes.Buffer
}

func (m *memory) Read(b []byte) (int, error)       { return m.in.Read(b) }
func (m *memory) Write(b []byte) (int, error)      { return m.out.Write(b) }
func (m *memory) Close() error                     { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

// one gives its octets one at a time: tokens must not depend on how they come.
type one struct{ r io.Reader }

func (o one) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

var fuzzLimits = Limits{Line: 64 << 10, Listing: 64 << 10, Literal: 4 << 10, Streamed: 1 << 20, Command: 1 << 20,
	Ranges: 1000, Mailboxes: 100}

// read runs everything a session can be waiting for over the same octets and
// returns what it made of them.
func read(t testing.TB, in io.Reader, tags ...string) (*got, *Session, error) {
	lim := fuzzLimits.withDefaults()
	s := newSession(newProgressConn(&memory{in: in}, &lim), lim, nil)
	g := &got{}
	s.Observe(g.observer())
	s.addFetch(all, g.handler())
	s.sel, s.id = &SelectData{}, map[string]string{}
	s.list = &listing{lim: &s.lim, statuses: map[string]StatusData{}}
	s.search = &search{tag: "m1", found: setBuilder{max: lim.Ranges}}
	for _, tag := range tags {
		s.tags++
		s.pending = append(s.pending, sentCommand{tag: tag, name: "FUZZ"})
	}
	for {
		if err := s.respond(); err != nil {
			return g, s, err
		}
	}
}

// transcripts adds the files of testdata whose names match as seeds.
func transcripts(f *testing.F, pattern string) {
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds %s: %v", pattern, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzScanner: any octets end in an error, within the limits, and the same way
// however they are cut into reads.
func FuzzScanner(f *testing.F) {
	transcripts(f, "*.txt")
	f.Fuzz(func(t *testing.T, b []byte) {
		g, s, err := read(t, bytes.NewReader(b), "m1", "m2")
		if err == nil || s.Err() == nil {
			t.Fatal("no end")
		}
		g1, s1, err1 := read(t, one{bytes.NewReader(b)}, "m1", "m2")
		if len(b) < 32<<10 && (len(g.msgs) != len(g1.msgs) || len(g.events) != len(g1.events) ||
			err.Error() != err1.Error() || len(s.list.entries) != len(s1.list.entries)) {
			t.Errorf("at once: %d messages, %q, %v\none by one: %d messages, %q, %v", len(g.msgs), g.events, err,
				len(g1.msgs), g1.events, err1)
		}
		for _, e := range s.list.entries {
			if !utf8.ValidString(e.Name) || int64(len(e.Raw)) > fuzzLimits.Literal+int64(len(b)) {
				t.Errorf("name %q", e.Name)
			}
		}
		for _, e := range g.events {
			if !utf8.ValidString(e) {
				t.Errorf("event %q", e)
			}
		}
		last := uint32(0)
		for _, r := range s.search.found.set() {
			if r.Start == 0 || r.Stop < r.Start || uint32(r.Start) <= last && last > 0 {
				t.Errorf("ranges %v", s.search.found.ranges)
			}
			last = uint32(r.Stop)
		}
	})
}

// FuzzFetch: whatever stands in a FETCH, a body is whole only if its octets
// came.
func FuzzFetch(f *testing.F) {
	transcripts(f, "fetch*.txt")
	for _, items := range []string{`UID 1 FLAGS (\Seen) MODSEQ (4)`, "BODY[] {3}\r\nabc UID 1", `X (a "b" {1}` +
		"\r\nc)", `BODY[HEADER.FIELDS ("a]")]<0> NIL`} {
		f.Add([]byte("* 1 FETCH (" + items + ")\r\n"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, _, _ := read(t, bytes.NewReader(append([]byte("* 1 FETCH ("), b...)))
		whole := 0
		for i, err := range g.errs {
			if err == nil {
				whole++
				if g.sizes[i] > int64(len(b)) {
					t.Errorf("a body of %d octets out of %d", g.sizes[i], len(b))
				}
			}
		}
		for _, m := range g.msgs {
			if m.HasBody {
				whole--
			}
			kept := 0
			for k, v := range m.Extra {
				kept += len(v)
				if k == "" {
					t.Error("an item without a name")
				}
			}
			if int64(kept) > fuzzLimits.Literal || len(m.Extra) > MaxExtra || m.ModSeq > 1<<63-1 || m.Size < -1 {
				t.Errorf("%+v", m)
			}
			for _, fl := range m.Flags {
				if fl == "" || bytes.ContainsAny([]byte(fl), " \r\n\x00") {
					t.Errorf("flag %q", fl)
				}
			}
		}
		if whole < 0 {
			t.Errorf("%d messages with a body too many", -whole)
		}
	})
}

// FuzzDecodeMailbox: total, valid UTF-8, and what was encoded decodes to
// itself.
func FuzzDecodeMailbox(f *testing.F) {
	for _, s := range append(hostile, "Entw&APw-rfe", "&2D3eAA-", "&ZeVnLIqe-", "&&-", "&A-") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := decodeMailbox(s)
		if !utf8.ValidString(name) || len(name) > 3*len(s) {
			t.Errorf("%q decodes to %q", s, name)
		}
		raw := encodeMailbox(name)
		if again := decodeMailbox(raw); again != name {
			t.Errorf("%q encodes to %q, which decodes to %q", name, raw, again)
		}
		for i := range len(raw) {
			if raw[i] < ' ' || raw[i] > '~' {
				t.Errorf("encoded as %q", raw)
			}
		}
	})
}

// FuzzSet: a set's ranges are sorted, apart and closed, and it prints back.
func FuzzSet(f *testing.F) {
	for _, s := range []string{"1", "1:3,9", "9:3", "12:*", "*", "5,4,3,2,1", "4294967295,1:4294967295", "0", "0:4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, err := parseSet(s)
		if err != nil || len(set) == 0 {
			return
		}
		again, err := parseSet(set.String())
		if err != nil || again.String() != set.String() || set[0].Start == 0 {
			t.Errorf("%q: %v, then %v, %v", s, set, again, err)
		}
		var want goimap.UIDSet
		if len(set) < 50 {
			for i := range set {
				want.AddRange(set[len(set)-1-i].Start, set[len(set)-1-i].Stop)
			}
			if want.String() != set.String() {
				t.Errorf("%q: %v, go-imap has %v", s, set, want)
			}
		}
	})
}
