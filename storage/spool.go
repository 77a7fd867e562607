package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"mailcote/storage/packing"
)

// Stage takes a message too large for memory from r and writes it to a spool of
// its own.
func (s *Store) Stage(ctx context.Context, p *Packer, r io.Reader) (Body, error) {
	sp := s.NewSpool(p)
	err := sp.Take(ctx, r)
	if err == nil {
		var b Body
		if b, err = sp.Finish(ctx); err == nil {
			return b, nil
		}
	}
	return Body{}, errors.Join(err, sp.Drop(context.WithoutCancel(ctx)))
}

// Unstage drops a staged body that no batch took. If that fails, the writer
// does it later.
func (s *Store) Unstage(ctx context.Context, b Body) error {
	if b.staged == 0 {
		return nil
	}
	drop := func(w *Writer) error { return w.dropBlob(b.staged) }
	// Interactive, because it makes room: the reserve is for that.
	err := s.Write(ctx, Interactive, 0, drop)
	if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrReadOnly) { // a start drops them all
		s.file.Later(writing(drop))
	}
	return err
}

// Spool receives one message in any number of parts. It writes them, in
// transactions of 4 MB, under a staged blob, which StoreBatch seals. What a
// dead process leaves behind goes at the next start. After an error only Drop
// may be called.
type Spool struct {
	store  *Store
	packer *Packer
	sum    hash.Hash
	id     BlobID   // 0: nothing is written yet
	pieces int      // written
	size   int64    // taken
	piece  []byte   // taken and not packed
	frames [][]byte // packed and not written
}

// NewSpool makes an empty spool; it takes no memory until it is used.
func (s *Store) NewSpool(p *Packer) *Spool {
	return &Spool{store: s, packer: p, sum: sha256.New()}
}

// Size is how many bytes were taken.
func (sp *Spool) Size() int64 { return sp.size }

// Take appends everything r gives before io.EOF.
func (sp *Spool) Take(ctx context.Context, r io.Reader) error {
	if sp.piece == nil {
		sp.piece = make([]byte, 0, pieceSize)
	}
	for {
		have := len(sp.piece)
		n, err := r.Read(sp.piece[have:pieceSize])
		sp.piece = sp.piece[:have+n]
		sp.sum.Write(sp.piece[have:]) //nolint:errcheck // a hash never fails
		sp.size += int64(n)
		if len(sp.piece) == pieceSize {
			sp.pack()
		}
		if len(sp.frames) == stageBytes/pieceSize {
			if err := sp.write(ctx); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read message: %w", err)
		}
	}
}

// Flush writes what is still in memory and frees that memory; the spool may go
// on.
func (sp *Spool) Flush(ctx context.Context) error {
	sp.pack()
	sp.piece = nil
	return sp.write(ctx)
}

// Finish writes the rest and gives the body for a batch. Nothing can be taken
// afterwards.
func (sp *Spool) Finish(ctx context.Context) (Body, error) {
	if err := sp.Flush(ctx); err != nil {
		return Body{}, err
	}
	b := Body{Size: sp.size, staged: sp.id}
	sp.sum.Sum(b.SHA256[:0])
	return b, nil
}

// Drop removes what was written.
func (sp *Spool) Drop(ctx context.Context) error {
	return sp.store.Unstage(ctx, Body{staged: sp.id})
}

func (sp *Spool) pack() {
	if len(sp.piece) > 0 {
		sp.frames = append(sp.frames, sp.packer.pieces.Pack(sp.piece))
		sp.piece = sp.piece[:0]
	}
}

func (sp *Spool) write(ctx context.Context) error {
	if len(sp.frames) == 0 && sp.id != 0 {
		return nil
	}
	id, first, frames := sp.id, sp.pieces, sp.frames
	err := sp.store.Write(ctx, Bulk, stageBytes, func(w *Writer) (err error) {
		if id = sp.id; id == 0 {
			// The number must be new. After an unknown outcome a number that is
			// given twice would make Drop drop another spool's blob.
			last := &sp.store.staged
			if id, err = w.addStagedAfter(*last); err != nil {
				return err
			}
			*last = max(*last, id)
		}
		return w.addPieces(id, first, frames)
	})
	if errors.Is(err, ErrOutcomeUnknown) {
		sp.id = id // it may be there
	}
	if err != nil {
		return fmt.Errorf("stage message: %w", err)
	}
	sp.id, sp.pieces, sp.frames = id, first+len(frames), nil
	return nil
}

// Reader reads a finished spool a piece at a time, so that a large message does
// not hold a snapshot of the store.
func (sp *Spool) Reader(ctx context.Context) (io.ReadCloser, error) {
	dec, err := packing.NewUnpacker()
	if err != nil {
		return nil, err
	}
	return &spoolReader{sp: sp, ctx: ctx, dec: dec}, nil
}

type spoolReader struct {
	sp    *Spool
	ctx   context.Context
	n     int
	dec   *packing.Unpacker
	piece []byte
}

func (r *spoolReader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		if r.n == r.sp.pieces {
			return 0, io.EOF
		}
		if err := r.sp.store.Read(r.ctx, func(tx *Reader) (err error) {
			r.piece, err = tx.piece(r.dec, r.sp.id, r.n)
			return err
		}); err != nil {
			return 0, err
		}
		r.n++
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

func (r *spoolReader) Close() error {
	r.dec.Close()
	return nil
}

// OpenBlob is Reader.OpenBlob for slow readers, such as a pager. It reads each
// piece in a snapshot of its own: a blob never changes. If the blob is dropped
// meanwhile, reading ends with ErrNotFound.
func (s *Store) OpenBlob(ctx context.Context, id BlobID) (io.ReadCloser, error) {
	var b *blobReader
	if err := s.Read(ctx, func(r *Reader) error {
		body, _, err := r.OpenBlob(id)
		if err == nil {
			b = body.(*blobReader)
		}
		return err
	}); err != nil {
		return nil, err
	}
	b.next = s.pieces(ctx, b)
	return b, nil
}

// OpenCame gives what is kept of a message in quarantine, and how many bytes
// that is. Errors: ErrNotFound.
func (s *Store) OpenCame(ctx context.Context, mailbox MailboxID, validity UIDValidity,
	uid UID) (io.ReadCloser, int64, error) {
	dec, err := packing.NewUnpacker()
	if err != nil {
		return nil, 0, err
	}
	b := &blobReader{dec: dec}
	if err := s.Read(ctx, func(r *Reader) error {
		err := r.snap.QueryRow(`SELECT b.id, b.size FROM meta m JOIN blob b ON b.id = m.value WHERE m.key = ?`,
			cameKey(mailbox, validity, uid)).Scan(&b.id, &b.left)
		return missing("what came of the message", err)
	}); err != nil {
		dec.Close()
		return nil, 0, err
	}
	b.next = s.pieces(ctx, b)
	return b, b.left, nil
}

// pieces reads each piece of a blob in a snapshot of its own.
func (s *Store) pieces(ctx context.Context, b *blobReader) func(n int) ([]byte, error) {
	return func(n int) (piece []byte, err error) {
		err = s.Read(ctx, func(r *Reader) error {
			piece, err = r.piece(b.dec, b.id, n)
			return err
		})
		return piece, err
	}
}
