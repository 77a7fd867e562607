package salvage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"mailcote/storage/internal/schema"
)

// What SQLite's first page says of itself (https://sqlite.org/fileformat2.html
// §1.3), as every store has it.
const (
	headerSize = 100
	pagesAt    = 28  // the number of pages
	grown      = 100 // a file was at most so many times longer; else that number is damaged
)

// fixed are the header's bytes that are the same in every store, by offset.
// With another value in one of them SQLite opens nothing.
func fixed() map[int][]byte {
	return map[int][]byte{
		0:  []byte("SQLite format 3\x00"),
		16: binary.BigEndian.AppendUint16(nil, schema.PageSize),
		18: {2, 2, 0, 64, 32, 32}, // WAL for writing and reading, no reserved bytes, payload fractions
		44: {0, 0, 0, 4},          // schema format
		56: {0, 0, 0, 1},          // UTF-8
		64: {0, 0, 0, 1},          // incremental vacuum
		68: binary.BigEndian.AppendUint32(nil, schema.ApplicationID),
	}
}

// mended writes a copy of the store whose header is as it must be, and gives
// its name; path itself when it is already. A file that lost even its first
// page gets an empty one: its log may hold the true one.
func mended(path, copied string, o Options) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	head := make([]byte, headerSize)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	right := bytes.Clone(head)
	for at, want := range fixed() {
		copy(right[at:], want)
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	// A file that was truncated is as long again, with empty pages: without the
	// first page of one table SQLite reads none.
	length := int64(binary.BigEndian.Uint32(head[pagesAt:])) * schema.PageSize
	if length > grown*(info.Size()+schema.PageSize) {
		binary.BigEndian.PutUint32(right[pagesAt:], uint32(info.Size()/schema.PageSize))
	}
	length = int64(binary.BigEndian.Uint32(right[pagesAt:])) * schema.PageSize
	if bytes.Equal(head, right) && length <= info.Size() {
		return path, nil
	}
	if err := o.scratch(path, copied); err != nil {
		return "", err
	}
	out, err := os.OpenFile(copied, os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	_, err = out.WriteAt(right, 0)
	if n < headerSize {
		length = schema.PageSize
	}
	if length > info.Size() {
		err = errors.Join(err, out.Truncate(length))
	}
	return copied, errors.Join(err, out.Close())
}
