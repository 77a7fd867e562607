package packing

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pair(t testing.TB) (*Packer, *Unpacker) {
	t.Helper()
	p, err := NewPacker(2)
	if err != nil {
		t.Fatal(err)
	}
	u, err := NewUnpacker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		u.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, u
}

// comesBack wants that a piece comes back bit for bit, and gives its frame.
func comesBack(t *testing.T, p *Packer, u *Unpacker, piece []byte) []byte {
	t.Helper()
	frame := p.Pack(piece)
	got, err := u.Unpack(frame)
	if err != nil || !bytes.Equal(got, piece) {
		t.Fatalf("%d bytes came back for %d: %v\n%.300q", len(got), len(piece), err, piece)
	}
	return frame
}

// encoded is data as lines of base64.
func encoded(data []byte, line int, end string) string {
	text := base64.StdEncoding.EncodeToString(data)
	var lines strings.Builder
	for ; len(text) > line; text = text[line:] {
		lines.WriteString(text[:line] + end)
	}
	return lines.String() + text + end
}

func random(r *rand.Rand, n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

// TestRuns: what is decoded, and what stays as it is.
func TestRuns(t *testing.T) {
	p, u := pair(t)
	r := rand.New(rand.NewPCG(1, 2))
	noise := random(r, 3000)
	lines := func(n, line int) string { return encoded(noise[:n], line, "\r\n") }
	header := "Content-Transfer-Encoding: base64\r\n\r\n"
	cut := strings.Replace(lines(3000, 76), "\r\n", "\n", 1)
	for _, c := range []struct {
		name  string
		piece string
		runs  []run
	}{
		{"an attachment", header + lines(3000, 76) + "--x--\r\n", []run{{gap: len(header), line: 76, decoded: 3000}}},
		{"padding", lines(2999, 76), []run{{line: 76, decoded: 2999}}},
		{"full last line", lines(57*9, 76), []run{{line: 76, decoded: 57 * 9}}},
		{"padding in a full last line", lines(57*9-1, 76), []run{{line: 76, decoded: 57*9 - 1}}},
		{"bare line ends", encoded(noise, 64, "\n"), []run{{line: 64, decoded: 3000, bare: true}}},
		{"two", lines(600, 76) + "\r\n" + lines(900, 60),
			[]run{{line: 76, decoded: 600}, {gap: 2, line: 60, decoded: 900}}},
		{"longest line", lines(3000, 1000), []run{{line: 1000, decoded: 3000}}},
		{"too long a line", lines(2259, 1004), nil},
		{"short lines", lines(3000, 36), nil},
		{"few bytes", lines(90, 76), nil},
		{"no line end at the end", strings.TrimSuffix(lines(57*9, 76), "\r\n"), []run{{line: 76, decoded: 57 * 8}}},
		{"one line that ends otherwise", cut, []run{{gap: 77, line: 76, decoded: 3000 - 57}}},
		{"no multiple of four", lines(3000, 76)[1:], []run{{gap: 77, line: 76, decoded: 3000 - 57}}},
		{"bits that padding throws away", lines(57*9, 76) + "AB==\r\n", []run{{line: 76, decoded: 57 * 9}}},
		{"padding in the middle", lines(110, 76) + lines(110, 76),
			[]run{{line: 76, decoded: 110}, {line: 76, decoded: 110}}},
		{"a character of another alphabet", strings.Replace(lines(3000, 76), lines(3000, 76)[400:401], "_", 1), nil},
		{"a blank at a line's end", strings.ReplaceAll(lines(3000, 76), "\r\n", " \r\n"), nil},
		{"carriage returns inside a line", lines(57*9, 76) + lines(57, 76)[:36] + "\r\r\r\r" + lines(57, 76)[40:],
			[]run{{line: 76, decoded: 57 * 9}}},
		{"plain text", strings.Repeat("It is a long established fact that this is read.\r\n", 40), nil},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs, _ := split(nil, nil, []byte(c.piece))
			if c.name == "a character of another alphabet" { // where it is, chance says
				c.runs = runs
			}
			if fmt.Sprint(runs) != fmt.Sprint(c.runs) {
				t.Errorf("got %+v, want %+v", runs, c.runs)
			}
			frame := comesBack(t, p, u, []byte(c.piece))
			if with := FormatOf(frame) == Decoded; with != (len(runs) > 0) {
				t.Errorf("%d runs, and the frame has a list: %v", len(runs), with)
			}
		})
	}
}

// TestSmaller: an attachment takes three quarters of what zstd alone makes of it, or less.
func TestSmaller(t *testing.T) {
	p, u := pair(t)
	piece := []byte(encoded(random(rand.New(rand.NewPCG(3, 4)), 500_000), 76, "\r\n"))
	with, without := len(comesBack(t, p, u, piece)), len(p.enc.EncodeAll(piece, nil))
	if with*100 > without*99 || with > 500_100 {
		t.Errorf("%d bytes with runs decoded, %d without", with, without)
	}
}

// TestOldFrames: the frames of the first schemas are read.
func TestOldFrames(t *testing.T) {
	_, u := pair(t)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(MaxPiece))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close() //nolint:errcheck // nothing is written
	for _, piece := range [][]byte{nil, []byte("Subject: x\r\n\r\n"), bytes.Repeat([]byte("text "), MaxPiece/5)} {
		if got, err := u.Unpack(enc.EncodeAll(piece, nil)); err != nil || !bytes.Equal(got, piece) {
			t.Errorf("%d bytes came back for %d: %v", len(got), len(piece), err)
		}
	}
}

// TestProven: what would not come back is packed as it is.
func TestProven(t *testing.T) {
	p, u := pair(t)
	piece := []byte(encoded(random(rand.New(rand.NewPCG(9, 9)), 3000), 76, "\r\n"))
	for name, wrong := range map[string]func([]run, []byte){
		"another byte":  func(_ []run, payload []byte) { payload[1000] ^= 1 },
		"another line":  func(runs []run, _ []byte) { runs[0].line = 80 },
		"no such bytes": func(runs []run, _ []byte) { runs[0].decoded++ },
	} {
		p.split = func(runs []run, payload, piece []byte) ([]run, []byte) {
			runs, payload = split(runs, payload, piece)
			wrong(runs, payload)
			return runs, payload
		}
		if frame := comesBack(t, p, u, piece); FormatOf(frame) != Plain {
			t.Errorf("%s: the frame is %q", name, FormatOf(frame))
		}
	}
}

// TestMutants packs messages of text, base64 and damage of both.
func TestMutants(t *testing.T) {
	p, u := pair(t)
	r := rand.New(rand.NewPCG(5, 6))
	words := []string{"\r\n", "\n", "\r", "=", "==", "A", "AAAA", "+/", "--x\r\n", " ", "\x00", "é"}
	for range 5000 {
		var piece []byte
		for range 1 + r.IntN(4) {
			piece = append(piece, encoded(random(r, r.IntN(700)), 4*(1+r.IntN(260)), words[r.IntN(3)])...)
			piece = append(piece, strings.Repeat(words[r.IntN(len(words))], r.IntN(60))...)
		}
		for range r.IntN(4) {
			at := r.IntN(len(piece))
			rest := piece[at+r.IntN(len(piece)-at):]
			piece = slices.Concat(piece[:at], []byte(words[r.IntN(len(words))]), rest)
			if len(piece) == 0 {
				piece = []byte("x")
			}
		}
		comesBack(t, p, u, piece)
	}
}

// TestLinear: hostile mail of lines that may begin a run and do not takes no longer than other mail.
func TestLinear(t *testing.T) {
	line := strings.Repeat("A", 64) + "\r\n\r\n"
	piece := []byte(strings.Repeat(line, MaxPiece/len(line)))
	runs, payload := split(nil, nil, piece)
	if len(runs) != 0 || !bytes.Equal(payload, piece) {
		t.Errorf("%d runs", len(runs))
	}
}

// FuzzUnpack: no frame panics or makes more than a piece.
func FuzzUnpack(f *testing.F) {
	p, _ := pair(f)
	f.Add(p.Pack([]byte(encoded(bytes.Repeat([]byte("abc"), 500), 76, "\r\n"))))
	f.Add(p.Pack([]byte("Subject: x\r\n\r\ntext\r\n")))
	f.Add([]byte{withRuns, 1, 0, 76, 0xff, 0xff, 0x3f, 0})
	f.Add([]byte{withRuns, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	_, u := pair(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		piece, err := u.Unpack(frame)
		if err != nil && !errors.Is(err, ErrDamaged) || len(piece) > MaxPiece {
			t.Fatalf("%d bytes, %v", len(piece), err)
		}
	})
}

// FuzzPack: every piece comes back.
func FuzzPack(f *testing.F) {
	f.Add([]byte(encoded(bytes.Repeat([]byte("abc"), 500), 76, "\r\n")))
	f.Add([]byte("Subject: x\r\n\r\ntext\r\n"))
	p, u := pair(f)
	f.Fuzz(func(t *testing.T, piece []byte) { comesBack(t, p, u, piece[:min(len(piece), MaxPiece)]) })
}

func BenchmarkPack(b *testing.B) {
	p, u := pair(b)
	r := rand.New(rand.NewPCG(7, 8))
	text := []byte(strings.Repeat("Dear Ada, this is what people write to one another every day.\r\n", 3000))
	file := []byte(encoded(random(r, 150_000), 76, "\r\n"))
	for name, piece := range map[string][]byte{"text": text, "file": file} {
		b.Run(name+"/pack", func(b *testing.B) {
			b.SetBytes(int64(len(piece)))
			for b.Loop() {
				p.Pack(piece)
			}
		})
		b.Run(name+"/split", func(b *testing.B) {
			b.SetBytes(int64(len(piece)))
			s := new(scratch)
			for b.Loop() {
				s.runs, s.payload = split(s.runs[:0], s.payload[:0], piece)
			}
		})
		frame := p.Pack(piece)
		b.Run(name+"/unpack", func(b *testing.B) {
			b.SetBytes(int64(len(piece)))
			for b.Loop() {
				if _, err := u.Unpack(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
