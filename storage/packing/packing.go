package packing

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// MaxPiece is the most raw bytes of a piece.
const MaxPiece = 1 << 20

// ErrDamaged says that bytes are not those that were packed.
var ErrDamaged = errors.New("the blob is damaged")

const withRuns = 1 // the first byte of a frame with runs; zstd's magic number begins with 0x28

// Format is how a frame holds its piece.
type Format string

// The formats of frames, as doc.go lists them.
const (
	Plain   Format = "zstd"
	Decoded Format = "base64 decoded"
)

// FormatOf tells the format of a frame. A few first bytes of it are enough.
func FormatOf(frame []byte) Format {
	if len(frame) > 0 && frame[0] == withRuns {
		return Decoded
	}
	return Plain
}

// Packer makes frames. It may be used from several goroutines; Close frees it.
type Packer struct {
	enc     *zstd.Encoder
	scratch sync.Pool // of *scratch
	split   func(runs []run, payload, piece []byte) ([]run, []byte)
}

// scratch is the memory that a piece needs while it is packed.
type scratch struct {
	runs    []run
	payload []byte
	again   []byte
	frame   []byte
}

// NewPacker makes a packer that compresses on up to workers processors at a time.
func NewPacker(workers int) (*Packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(workers),
		zstd.WithWindowSize(MaxPiece), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make packer: %w", err)
	}
	return &Packer{enc: enc, scratch: sync.Pool{New: func() any { return new(scratch) }}, split: split}, nil
}

// Pack makes the frame of a piece of at most MaxPiece bytes.
func (p *Packer) Pack(piece []byte) []byte {
	s := p.scratch.Get().(*scratch)
	defer p.scratch.Put(s)
	s.runs, s.payload = p.split(s.runs[:0], s.payload[:0], piece)
	if len(s.runs) > 0 && s.comesBack(piece) {
		s.frame = p.enc.EncodeAll(s.payload, appendRuns(append(s.frame[:0], withRuns), s.runs))
	} else {
		s.frame = p.enc.EncodeAll(piece, s.frame[:0])
	}
	return slices.Clone(s.frame) // as small as it is: frames wait for a batch
}

// comesBack reports whether the runs and the payload give the piece again.
func (s *scratch) comesBack(piece []byte) bool {
	again, err := join(s.again, s.payload, s.runs)
	if err != nil {
		return false
	}
	s.again = again
	return bytes.Equal(again, piece)
}

// Close frees the packer.
func (p *Packer) Close() error { return p.enc.Close() }

// Unpacker reads frames. One goroutine uses it; Close frees it.
type Unpacker struct {
	dec     *zstd.Decoder
	payload []byte
}

// NewUnpacker makes an unpacker.
func NewUnpacker() (*Unpacker, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxPiece),
		zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make unpacker: %w", err)
	}
	return &Unpacker{dec: dec}, nil
}

// Unpack gives the piece of a frame, in memory of its own. Errors: ErrDamaged.
func (u *Unpacker) Unpack(frame []byte) ([]byte, error) {
	if FormatOf(frame) == Plain {
		return u.decompress(nil, frame)
	}
	runs, rest, err := readRuns(frame[1:])
	if err != nil {
		return nil, err
	}
	if u.payload, err = u.decompress(u.payload[:0], rest); err != nil {
		return nil, err
	}
	return join(nil, u.payload, runs)
}

func (u *Unpacker) decompress(dst, frame []byte) ([]byte, error) {
	raw, err := u.dec.DecodeAll(frame, dst)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w: %w", ErrDamaged, err)
	}
	if len(raw) > MaxPiece {
		return nil, fmt.Errorf("decompress: a piece of %d bytes is over the limit: %w", len(raw), ErrDamaged)
	}
	return raw, nil
}

// Close frees the unpacker.
func (u *Unpacker) Close() { u.dec.Close() }
