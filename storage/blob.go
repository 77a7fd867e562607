package storage

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"
	"io"

	"mailcote/storage/packing"
)

const (
	pieceSize  = packing.MaxPiece
	stageBytes = 4 << 20 // raw bytes a staging transaction writes
	// MaxInline is the size in bytes above which a message is staged. Smaller
	// ones travel whole in a batch.
	MaxInline = 4 << 20
)

// Body is a raw message ready for a batch: packed in memory, or staged in the
// store already.
type Body struct {
	SHA256 [sha256.Size]byte
	Size   int64
	frames [][]byte
	staged BlobID // 0: the frames are here
}

// Stored is how many bytes the packed body takes. It is 0 for a staged one,
// which is written already.
func (b Body) Stored() int {
	n := 0
	for _, frame := range b.frames {
		n += len(frame)
	}
	return n
}

// Packer compresses messages. It may be used from several goroutines; Close
// frees it.
type Packer struct{ pieces *packing.Packer }

// NewPacker makes a packer.
func NewPacker() (*Packer, error) {
	pieces, err := packing.NewPacker(2)
	if err != nil {
		return nil, err
	}
	return &Packer{pieces: pieces}, nil
}

// Pack hashes and compresses a message that is whole in memory.
func (p *Packer) Pack(raw []byte) Body {
	b := Body{SHA256: sha256.Sum256(raw), Size: int64(len(raw))}
	for off := 0; off < len(raw); off += pieceSize {
		b.frames = append(b.frames, p.pieces.Pack(raw[off:min(off+pieceSize, len(raw))]))
	}
	return b
}

// Close frees the packer.
func (p *Packer) Close() error { return p.pieces.Close() }

// piece reads one piece of a blob.
func (r *Reader) piece(dec *packing.Unpacker, id BlobID, n int) ([]byte, error) {
	var frame []byte
	if err := r.snap.QueryRow(`SELECT frame FROM blob_piece WHERE blob_id = ? AND n = ?`,
		id, n).Scan(&frame); err != nil {
		return nil, missing(fmt.Sprintf("piece %d of blob %d", n, id), err)
	}
	piece, err := dec.Unpack(frame)
	if err != nil {
		return nil, fmt.Errorf("blob %d, piece %d: %w", id, n, err)
	}
	return piece, nil
}

var errDigest = fmt.Errorf("the digest differs: %w", ErrDamaged)

// sameDigest compares a computed digest with the stored one.
func sameDigest(sum hash.Hash, want []byte) error {
	if got := sum.Sum(nil); !bytes.Equal(got, want) {
		return errDigest
	}
	return nil
}

// putBlob gives the blob of a body. It writes, seals or drops what is needed so
// that the same bytes are one blob. fresh says that the store did not hold
// these bytes. Then no email has them: a blob stays as long as an email names
// it.
//
// Bytes that the store holds already are written anew with renew, or when an
// entry that has them is to be downloaded again: whichever message brings them,
// it brings them whole.
func (w *Writer) putBlob(b Body, renew bool) (id BlobID, fresh bool, err error) {
	if b.staged == 0 {
		if id, fresh, err = w.addBlob(b); fresh || err != nil {
			return id, fresh, err
		}
	}
	var doubted bool
	err = w.tx.QueryRow(`SELECT id, EXISTS (SELECT 1 FROM entry n CROSS JOIN refetch f ON f.entry_id = n.id
		WHERE n.blob_id = blob.id) FROM blob WHERE sha256 = ?`, b.SHA256[:]).Scan(&id, &doubted)
	switch {
	case err == nil && (renew || doubted):
		return id, false, w.renewBlob(id, b)
	case err == nil && b.staged != 0 && b.staged != id:
		return id, false, w.dropBlob(b.staged)
	case err == nil:
		return id, false, nil
	case !errors.Is(err, sql.ErrNoRows):
		return 0, false, fmt.Errorf("find blob: %w", err)
	}
	return b.staged, true, w.sealBlob(b)
}

// addBlob adds a blob that travels whole, if the store does not hold it.
func (w *Writer) addBlob(b Body) (id BlobID, fresh bool, err error) {
	result, err := w.tx.Exec(`INSERT INTO blob (sha256, size, stored, state, created_at) VALUES (?, ?, ?, 'sealed', ?)
		ON CONFLICT (sha256) DO NOTHING`, b.SHA256[:], b.Size, b.Stored(), millis(now()))
	if err != nil {
		return 0, false, fmt.Errorf("add blob: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return 0, false, err
	}
	key, err := result.LastInsertId()
	if err != nil {
		return 0, false, err
	}
	return BlobID(key), true, w.addPieces(BlobID(key), 0, b.frames)
}

// renewBlob writes the pieces of a blob anew.
func (w *Writer) renewBlob(id BlobID, b Body) error {
	if b.staged != id {
		if _, err := w.tx.Exec(`DELETE FROM blob_piece WHERE blob_id = ?`, id); err != nil {
			return explain("drop damaged pieces", err)
		}
		if _, err := w.tx.Exec(`UPDATE blob_piece SET blob_id = ? WHERE blob_id = ?`, id, b.staged); err != nil {
			return explain("replace damaged pieces", err)
		}
		if err := errors.Join(w.dropBlob(b.staged), w.addPieces(id, 0, b.frames)); err != nil {
			return err
		}
	}
	_, err := w.tx.Exec(`UPDATE blob SET size = ?, stored = (SELECT coalesce(sum(length(frame)), 0) FROM blob_piece
		WHERE blob_id = blob.id) WHERE id = ?`, b.Size, id)
	return explain("renew blob", err)
}

func (w *Writer) addStaged() (BlobID, error) {
	id, err := w.tx.Insert(`INSERT INTO blob (size, stored, state, created_at) VALUES (0, 0, 'staged', ?)`,
		millis(now()))
	return BlobID(id), explain("stage blob", err)
}

// addStagedAfter is addStaged with a number above last.
func (w *Writer) addStagedAfter(last BlobID) (BlobID, error) {
	id, err := w.addStaged()
	if err != nil || id > last {
		return id, err
	}
	if err := w.dropBlob(id); err != nil {
		return 0, err
	}
	_, err = w.tx.Exec(`INSERT INTO blob (id, size, stored, state, created_at) VALUES (?, 0, 0, 'staged', ?)`,
		last+1, millis(now()))
	return last + 1, explain("stage blob", err)
}

func (w *Writer) addPieces(id BlobID, first int, frames [][]byte) error {
	for i, frame := range frames {
		if _, err := w.tx.Exec(`INSERT INTO blob_piece (blob_id, n, frame) VALUES (?, ?, ?)`,
			id, first+i, frame); err != nil {
			return fmt.Errorf("add piece %d of blob: %w", first+i, err)
		}
	}
	return nil
}

func (w *Writer) sealBlob(b Body) error {
	result, err := w.tx.Exec(`UPDATE blob SET sha256 = ?, size = ?, state = 'sealed',
		stored = (SELECT coalesce(sum(length(frame)), 0) FROM blob_piece WHERE blob_id = blob.id)
		WHERE id = ? AND state = 'staged'`,
		b.SHA256[:], b.Size, b.staged)
	if err != nil {
		return fmt.Errorf("seal blob: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("seal blob %d: it is not staged", b.staged), err)
	}
	return nil
}

// dropBlob removes a blob that no batch has sealed.
func (w *Writer) dropBlob(id BlobID) error {
	_, err := w.tx.Exec(`DELETE FROM blob WHERE id = ? AND state = 'staged'`, id)
	return explain("drop blob", err)
}

// dropStaged removes what a dead process was receiving. It spares what is kept
// of messages in quarantine, and what an entry names: a repair has to see that.
func (w *Writer) dropStaged() error {
	if err := w.dropCameGone(); err != nil {
		return err
	}
	_, err := w.tx.Exec(`DELETE FROM blob WHERE state = 'staged' AND id NOT IN (SELECT value FROM meta
		WHERE key GLOB 'came:*') AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = blob.id)`)
	return explain("drop staged blobs", err)
}

// OpenBlob gives the raw bytes of a blob, verified: the last Read fails if the
// digest differs. The reader is valid inside the Read closure. Errors:
// ErrNotFound.
func (r *Reader) OpenBlob(id BlobID) (io.ReadCloser, int64, error) { return r.openBlob(id, nil) }

// openBlob is OpenBlob with a decoder that is kept, if there is one.
func (r *Reader) openBlob(id BlobID, kept *packing.Unpacker) (io.ReadCloser, int64, error) {
	var size int64
	var want []byte
	if err := r.snap.QueryRow(`SELECT size, sha256 FROM blob WHERE id = ? AND state = 'sealed'`,
		id).Scan(&size, &want); err != nil {
		return nil, 0, missing("blob", err)
	}
	b := &blobReader{id: id, want: want, left: size, dec: kept, kept: kept != nil, sum: sha256.New()}
	if !b.kept {
		var err error
		if b.dec, err = packing.NewUnpacker(); err != nil {
			return nil, 0, err
		}
	}
	b.next = func(n int) ([]byte, error) { return r.piece(b.dec, id, n) }
	return b, size, nil
}

// EmailBlob finds the blob of an email: that of its first live entry, otherwise
// that of any. Errors: ErrNotFound.
func (r *Reader) EmailBlob(id EmailRow) (BlobID, error) {
	var blob BlobID
	err := r.snap.QueryRow(`SELECT blob_id FROM entry WHERE email_id = ? AND blob_id IS NOT NULL
		ORDER BY expunged_at IS NOT NULL, id LIMIT 1`, id).Scan(&blob)
	return blob, missing("message body", err)
}

// Beginnings hands each entry's raw message to each, which reads as much as it
// wants. The bytes are not verified, so only compare them. Entries without a
// body are passed over.
func (r *Reader) Beginnings(entries []EntryID, each func(id EntryID, raw io.Reader) error) error {
	dec, err := packing.NewUnpacker()
	if err != nil {
		return fmt.Errorf("open blobs: %w", err)
	}
	defer dec.Close()
	for _, id := range entries {
		b := blobReader{dec: dec}
		b.next = func(n int) ([]byte, error) { return r.piece(dec, b.id, n) }
		err := r.snap.QueryRow(`SELECT b.id, b.size FROM entry n JOIN blob b ON b.id = n.blob_id WHERE n.id = ?`,
			id).Scan(&b.id, &b.left)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("find blob of entry: %w", err)
		}
		if err := each(id, &b); err != nil {
			return err
		}
	}
	return nil
}

type blobReader struct {
	next  func(n int) ([]byte, error) // reads a piece
	id    BlobID
	n     int
	left  int64
	want  []byte
	dec   *packing.Unpacker
	kept  bool      // the decoder is not the reader's own
	sum   hash.Hash // nil: nothing is verified
	piece []byte
}

func (b *blobReader) Read(p []byte) (int, error) {
	for len(b.piece) == 0 {
		if b.left == 0 {
			if b.sum == nil {
				return 0, io.EOF
			}
			if err := sameDigest(b.sum, b.want); err != nil {
				return 0, fmt.Errorf("blob %d: %w", b.id, err)
			}
			return 0, io.EOF
		}
		piece, err := b.next(b.n)
		if err != nil {
			return 0, err
		}
		if len(piece) == 0 || int64(len(piece)) > b.left {
			return 0, fmt.Errorf("blob %d, piece %d: %w", b.id, b.n, errDigest)
		}
		if b.sum != nil {
			b.sum.Write(piece) //nolint:errcheck // a hash never fails
		}
		b.piece, b.left, b.n = piece, b.left-int64(len(piece)), b.n+1
	}
	n := copy(p, b.piece)
	b.piece = b.piece[n:]
	return n, nil
}

func (b *blobReader) Close() error {
	if !b.kept {
		b.dec.Close()
	}
	return nil
}
