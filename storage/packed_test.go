package storage

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"testing"

	"mailcote/storage/packing"
	"mailcote/testkit/corpus"
	"mailcote/testkit/form"
)

// mutate damages a message as servers, gateways and people do: in single bytes, in lines, in line ends, and by halves.
func mutate(r *rand.Rand, raw, other []byte) []byte {
	part := func() (from, to int) {
		from = r.IntN(len(raw) + 1)
		return from, from + min(r.IntN(200), len(raw)-from)
	}
	raw = slices.Clone(raw)
	for range 1 + r.IntN(4) {
		from, to := part()
		switch r.IntN(9) {
		case 0:
			if from < to {
				raw[from] ^= 1 << r.IntN(8)
			}
		case 1:
			raw = slices.Delete(raw, from, to)
		case 2:
			raw = slices.Insert(raw, from, slices.Clone(raw[from:to])...)
		case 3:
			few := []string{"\r", "\n", "\r\n", "=", "====", " ", "A", "\x00"}
			raw = slices.Insert(raw, from, []byte(few[r.IntN(len(few))])...)
		case 4:
			raw = slices.Concat(raw[:from], bytes.ReplaceAll(raw[from:], []byte("\r\n"), []byte("\n")))
		case 5:
			raw = raw[:from]
		case 6:
			raw = slices.Concat(raw[:from], other[r.IntN(len(other)):])
		case 7: // the same bytes in other lines
			text := base64.StdEncoding.EncodeToString(other[:min(len(other), 3000)])
			line := 4 * (1 + r.IntN(300))
			for ; len(text) > line; text = text[line:] {
				raw = append(append(raw, text[:line]...), "\r\n"...)
			}
			raw = append(raw, text...)
		case 8:
			raw = bytes.ReplaceAll(raw, []byte("="), []byte{})
		}
	}
	return raw
}

// TestMutatedMail: mail comes back bit for bit, whatever happened to it on its way. The full form looks at 100,000.
func TestMutatedMail(t *testing.T) {
	n := 4000
	if form.Long() {
		n = 100_000
	} else if form.Race {
		n = 1000
	}
	r := rand.New(rand.NewPCG(form.Seed(t, 0), 3))
	letters := slices.Collect(corpus.Generate(r.Uint64(), 300, corpus.Options{AvgSize: 8000, AttachmentShare: 0.5}))
	p, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close() //nolint:errcheck // it frees memory only
	u, err := packing.NewUnpacker()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	decoded, before, after := 0, 0, 0
	for range n {
		raw := letters[r.IntN(len(letters))].Raw
		if r.IntN(10) > 0 {
			raw = mutate(r, raw, letters[r.IntN(len(letters))].Raw)
		}
		b := p.Pack(raw)
		var got []byte
		for _, frame := range b.frames {
			piece, err := u.Unpack(frame)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, piece...)
			if packing.FormatOf(frame) == packing.Decoded {
				decoded++
			}
		}
		if !bytes.Equal(got, raw) {
			t.Fatalf("%d bytes came back for %d", len(got), len(raw))
		}
		before, after = before+len(raw), after+b.Stored()
	}
	if decoded < n/3 {
		t.Errorf("of %d messages %d were decoded", n, decoded)
	}
	t.Logf("%d messages, %d with base64 decoded, %.3f of their bytes", n, decoded, float64(after)/float64(before))
}
