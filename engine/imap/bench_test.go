package imap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
)

// replay is a server that says one answer again for every command.
type replay struct {
	memory
	answer []byte
	n      int
}

func (r *replay) Write(b []byte) (int, error) {
	r.n++
	r.in = io.MultiReader(bytes.NewReader(r.answer), strings.NewReader(fmt.Sprintf("m%d OK done\r\n", r.n)))
	return len(b), nil
}

func replaying(answer []byte) *Session {
	lim := DefaultLimits()
	s := newSession(newProgressConn(&replay{answer: answer}, &lim), lim, nil)
	return s
}

const benchCount = 1000

func bodies() []byte {
	var b bytes.Buffer
	body := strings.Repeat("some words in a line of mail\r\n", 700)
	for i := range benchCount {
		fmt.Fprintf(&b, "* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n", i+1, i+1, len(body), body)
	}
	return b.Bytes()
}

func flagLines() []byte {
	var b bytes.Buffer
	for i := range benchCount {
		fmt.Fprintf(&b, "* %d FETCH (UID %d FLAGS (\\Seen $Junk) MODSEQ (%d))\r\n", i+1, 7*i+1, i+9)
	}
	return b.Bytes()
}

// The hot path: no allocation a message but its flags.
func TestAllocations(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer []byte
		most   float64 // a message
	}{{"bodies", bodies(), 0.1}, {"flags", flagLines(), 1.1}} {
		s := replaying(tt.answer)
		count := 0
		take := FetchHandler{
			Body: func(_ *Message, _ string, size int64, r io.Reader) error {
				n, err := io.Copy(io.Discard, r)
				if n != size {
					t.Errorf("%d of %d octets", n, size)
				}
				return err
			},
			Fetch: func(m *Message) error { count++; return nil },
		}
		runs := 0
		got := testing.AllocsPerRun(5, func() {
			runs++
			if err := s.UIDFetch(context.Background(), all, nil, take); err != nil {
				t.Fatal(err)
			}
		}) / benchCount
		if got > tt.most || count != runs*benchCount {
			t.Errorf("%s: %.2f allocations a message, %d messages in %d runs", tt.name, got, count, runs)
		}
		t.Logf("%s: %.3f allocations a message", tt.name, got)
	}
}

func BenchmarkFetchBodies(b *testing.B) { benchmark(b, bodies()) }
func BenchmarkFetchFlags(b *testing.B)  { benchmark(b, flagLines()) }

func benchmark(b *testing.B, answer []byte) {
	s := replaying(answer)
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.UIDFetch(context.Background(), all, nil, FetchHandler{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(benchCount*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
