package message

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"mailcote/testkit/form"
)

// TestMutants reads messages of the tables with bytes changed, lines moved and
// messages mixed. Every view is whole, and what it lists can be fetched with the
// size that was told.
func TestMutants(t *testing.T) {
	n := 1000
	if form.Long() {
		n = 500_000
	}
	rng := rand.New(rand.NewPCG(form.Seed(t, 11), 1))
	var seeds [][]byte
	for _, table := range kinds() {
		for _, k := range table {
			seeds = append(seeds, []byte(k.raw))
		}
	}
	for _, c := range corpus {
		seeds = append(seeds, []byte(c.raw))
	}
	for i := range n {
		if i > 0 && i%10_000 == 0 {
			t.Logf("%d of %d", i, n)
		}
		raw := mutate(rng, seeds)
		var v View
		within(t, len(raw), func() { v = Parse(bytes.NewReader(raw), Limits{}) })
		check(t, v)
		for _, a := range v.Attachments[:min(len(v.Attachments), 5)] {
			r, _, ok := Part(bytes.NewReader(raw), a.Path, Limits{})
			if !ok {
				t.Fatalf("mutant %d: no part %s\n%q", i, a.Path, raw)
			}
			if size, err := io.Copy(io.Discard, r); err != nil || size != a.Size {
				t.Fatalf("mutant %d: part %s has %d bytes, %v; told %d\n%q", i, a.Path, size, err, a.Size, raw)
			}
		}
		if t.Failed() {
			t.Fatalf("mutant %d\n%q", i, raw)
		}
	}
}

// mutate changes a copy of a seed in one to eight places.
func mutate(rng *rand.Rand, seeds [][]byte) []byte {
	raw := bytes.Clone(seeds[rng.IntN(len(seeds))])
	for range 1 + rng.IntN(8) {
		if len(raw) == 0 {
			raw = []byte("x")
		}
		at := rng.IntN(len(raw))
		end := min(len(raw), at+1+rng.IntN(40))
		switch rng.IntN(9) {
		case 0:
			raw[at] = byte(rng.Uint32())
		case 1:
			raw[at] ^= 1 << rng.IntN(8)
		case 2: // lost
			raw = append(raw[:at], raw[end:]...)
		case 3: // doubled
			raw = append(raw[:end:end], raw[at:]...)
		case 4: // what means something
			marks := []string{"\r\n", "\n", "\r", "\x00", "--", "=?", "?=", "=", ";", "\"", "(", "<", ">", "\x1b$B",
				"\xff\xfe",
				"\r\n\r\n", "begin 644 a\r\n", "end\r\n", "Content-Type: message/rfc822\r\n", " ", "\t", "\xc3",
				"--frontier\r\n",
				"Content-Transfer-Encoding: base64\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"}
			raw = append(raw[:at:at], append([]byte(marks[rng.IntN(len(marks))]), raw[at:]...)...)
		case 5: // lines swapped
			lines := bytes.SplitAfter(raw, []byte("\n"))
			i, j := rng.IntN(len(lines)), rng.IntN(len(lines))
			lines[i], lines[j] = lines[j], lines[i]
			raw = bytes.Join(lines, nil)
		case 6: // the end of another one
			other := seeds[rng.IntN(len(seeds))]
			if len(other) > 0 {
				raw = append(raw[:at:at], other[rng.IntN(len(other)):]...)
			}
		case 7:
			raw = raw[:at]
		case 8: // other line ends
			raw = []byte(strings.ReplaceAll(string(raw), "\r\n", "\n"))
		}
	}
	return raw
}
