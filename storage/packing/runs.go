package packing

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
)

// A line of a run has fromLine to maxLine characters. A run that decodes to fewer
// than fromRun bytes stays as it is: its entry in the list would cost what it saves.
const (
	fromLine = 40
	maxLine  = 1000
	fromRun  = 96
)

// run is a row of base64 lines of which all but the last have the same length.
type run struct {
	gap     int // bytes between the end of the last run and this one
	line    int // characters of a line without its end, a multiple of 4
	decoded int // bytes
	bare    bool
}

// strict refuses bits that encoding would not give again.
var strict = base64.StdEncoding.Strict()

func (r run) end() string {
	if r.bare {
		return "\n"
	}
	return "\r\n"
}

// encoded is how many bytes the run has in the piece.
func (r run) encoded() int {
	full := r.line / 4 * 3
	lines := (r.decoded + full - 1) / full
	return base64.StdEncoding.EncodedLen(r.decoded) + lines*len(r.end())
}

// split appends the runs of a piece to runs, and the piece with its runs decoded
// to payload.
func split(runs []run, payload, piece []byte) ([]run, []byte) {
	gap := 0
	for len(piece) > 0 {
		r, longer, n := read(payload, piece)
		if r.decoded >= fromRun {
			r.gap, gap = gap, 0
			runs, payload, piece = append(runs, r), longer, piece[n:]
			continue
		}
		end := bytes.IndexByte(piece, '\n') + 1
		if end == 0 {
			end = len(piece)
		}
		gap += end
		payload, piece = append(payload, piece[:end]...), piece[end:]
	}
	return runs, payload
}

// read appends the run that text begins with, decoded, to payload, and gives how
// many bytes of text it has. Without one the run is zero.
func read(payload, text []byte) (r run, longer []byte, n int) {
	line, size := oneLine(text)
	if len(line) < fromLine || len(line) > maxLine || !base64Byte(line[0]) {
		return run{}, payload, 0
	}
	longer = payload
	for r = (run{line: len(line), bare: size == len(line)+1}); r.goesOn(line, size); line, size = oneLine(text[n:]) {
		had := len(longer)
		longer = append(longer, make([]byte, len(line)/4*3)...)
		got, err := strict.Decode(longer[had:], line)
		if err != nil || base64.StdEncoding.EncodedLen(got) != len(line) { // it passes over carriage returns
			return r, longer[:had], n
		}
		longer, r.decoded, n = longer[:had+got], r.decoded+got, n+size
		if got < r.line/4*3 {
			break
		}
	}
	return r, longer, n
}

// goesOn reports whether a line, which takes size bytes with its end, may be the
// run's next one.
func (r run) goesOn(line []byte, size int) bool {
	return len(line) > 0 && len(line) <= r.line && len(line)%4 == 0 && (size == len(line)+1) == r.bare
}

// oneLine gives the line that text begins with, without its end, and its size with
// it. A line without an end is none.
func oneLine(text []byte) (line []byte, size int) {
	end := bytes.IndexByte(text[:min(len(text), maxLine+2)], '\n')
	if end < 0 {
		return nil, 0
	}
	if end > 0 && text[end-1] == '\r' {
		return text[:end-1], end + 1
	}
	return text[:end], end + 1
}

func base64Byte(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// join gives the piece that split made payload and runs of, in the memory of dst
// if that is enough. payload is at most a piece.
func join(dst, payload []byte, runs []run) ([]byte, error) {
	size, left := len(payload), len(payload)
	for _, r := range runs {
		left -= r.gap + r.decoded
		if size += r.encoded() - r.decoded; left < 0 || size > MaxPiece {
			return nil, fmt.Errorf("a run of %d bytes goes beyond its piece: %w", r.decoded, ErrDamaged)
		}
	}
	dst = slices.Grow(dst[:0], size)
	for _, r := range runs {
		dst = append(dst, payload[:r.gap]...)
		bytes, full := payload[r.gap:r.gap+r.decoded], r.line/4*3
		for len(bytes) > 0 {
			n := min(full, len(bytes))
			dst = append(strict.AppendEncode(dst, bytes[:n]), r.end()...)
			bytes = bytes[n:]
		}
		payload = payload[r.gap+r.decoded:]
	}
	return append(dst, payload...), nil
}

func appendRuns(dst []byte, runs []run) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	for _, r := range runs {
		end := uint64(0)
		if r.bare {
			end = 1
		}
		for _, n := range [4]uint64{uint64(r.gap), uint64(r.line), uint64(r.decoded), end} {
			dst = binary.AppendUvarint(dst, n)
		}
	}
	return dst
}

// readRuns reads the list that appendRuns wrote, and gives what follows it.
func readRuns(frame []byte) (runs []run, rest []byte, err error) {
	next := func() int {
		n, size := binary.Uvarint(frame)
		if size <= 0 || n > MaxPiece {
			err = fmt.Errorf("the list of runs is cut or absurd: %w", ErrDamaged)
			return 0
		}
		frame = frame[size:]
		return int(n)
	}
	for count := next(); count > 0 && err == nil; count-- {
		r := run{gap: next(), line: next(), decoded: next()}
		end := next()
		if err == nil && (end > 1 || r.line == 0 || r.line%4 != 0) {
			err = fmt.Errorf("a run of %d bytes in lines of %d is none: %w", r.decoded, r.line, ErrDamaged)
		}
		r.bare = end == 1
		runs = append(runs, r)
	}
	if err != nil {
		return nil, nil, err
	}
	return runs, frame, nil
}
