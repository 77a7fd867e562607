package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	pieceSize  = 1 << 20 // raw bytes of one zstd frame
	stageBytes = 4 << 20 // raw bytes a staging transaction writes
	// MaxInline is the size in bytes above which a message is staged instead of travelling whole in a batch.
	MaxInline = 4 << 20
)

// Body is a raw message ready for a batch: packed in memory, or staged in the store already.
type Body struct {
	SHA256 [sha256.Size]byte
	Size   int64
	frames [][]byte
	staged BlobID // 0: the frames are here
}

// Stored is how many bytes the packed body takes; of a staged one nothing is left to write.
func (b Body) Stored() int {
	n := 0
	for _, frame := range b.frames {
		n += len(frame)
	}
	return n
}

// Packer compresses messages. It may be used from several goroutines; Close frees it.
type Packer struct{ enc *zstd.Encoder }

// NewPacker makes a packer.
func NewPacker() (*Packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(4), zstd.WithWindowSize(pieceSize), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("make packer: %w", err)
	}
	return &Packer{enc: enc}, nil
}

// Pack hashes and compresses a message that is whole in memory.
func (p *Packer) Pack(raw []byte) Body {
	b := Body{SHA256: sha256.Sum256(raw), Size: int64(len(raw))}
	for off := 0; off < len(raw); off += pieceSize {
		b.frames = append(b.frames, p.enc.EncodeAll(raw[off:min(off+pieceSize, len(raw))], nil))
	}
	return b
}

// Close frees the packer.
func (p *Packer) Close() error { return p.enc.Close() }

// Stage takes a message too large for memory from r and writes it in transactions of 4 MB under a staged blob. What a
// failure or a dead process leaves behind goes at the next start; StoreBatch seals the blob.
func (s *Store) Stage(ctx context.Context, p *Packer, r io.Reader) (Body, error) {
	st := &stager{store: s, ctx: ctx, packer: p, sum: sha256.New()}
	if err := st.copy(r); err != nil {
		return Body{}, errors.Join(err, st.drop())
	}
	b := Body{Size: st.size, staged: st.id}
	st.sum.Sum(b.SHA256[:0])
	return b, nil
}

// Unstage drops a staged body that no batch took.
func (s *Store) Unstage(ctx context.Context, b Body) error {
	if b.staged == 0 {
		return nil
	}
	return s.Write(ctx, Bulk, 0, func(w *Writer) error { return w.dropBlob(b.staged) })
}

type stager struct {
	store  *Store
	ctx    context.Context
	packer *Packer
	sum    hash.Hash
	id     BlobID
	pieces int
	size   int64
}

func (st *stager) copy(r io.Reader) error {
	buf := make([]byte, pieceSize)
	var frames [][]byte
	var stored int64
	flush := func() error {
		id, first := st.id, st.pieces
		err := st.store.Write(st.ctx, Bulk, stageBytes, func(w *Writer) (err error) {
			if id = st.id; id == 0 {
				if id, err = w.addStaged(); err != nil {
					return err
				}
			}
			return w.addPieces(id, first, frames)
		})
		if err != nil {
			return err
		}
		st.id, st.pieces = id, first+len(frames)
		frames = frames[:0:0]
		return nil
	}
	for {
		n, err := io.ReadFull(r, buf)
		st.sum.Write(buf[:n]) //nolint:errcheck // a hash never fails
		st.size += int64(n)
		if n > 0 {
			frame := st.packer.enc.EncodeAll(buf[:n], nil)
			frames, stored = append(frames, frame), stored+int64(len(frame))
		}
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return fmt.Errorf("read message: %w", err)
		}
		if ended || len(frames) == stageBytes/pieceSize {
			if err := flush(); err != nil {
				return fmt.Errorf("stage message: %w", err)
			}
		}
		if ended {
			return nil
		}
	}
}

func (st *stager) drop() error {
	return st.store.Unstage(context.WithoutCancel(st.ctx), Body{staged: st.id})
}

// unpack decompresses one frame, refusing one that is larger than a piece.
func unpack(dec *zstd.Decoder, frame []byte) ([]byte, error) {
	raw, err := dec.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	if len(raw) > pieceSize {
		return nil, fmt.Errorf("decompress: a piece of %d bytes is over the limit", len(raw))
	}
	return raw, nil
}

var errDigest = errors.New("the digest differs: the blob is damaged")

// sameDigest compares a computed digest with the stored one.
func sameDigest(sum hash.Hash, want []byte) error {
	if got := sum.Sum(nil); !bytes.Equal(got, want) {
		return errDigest
	}
	return nil
}
