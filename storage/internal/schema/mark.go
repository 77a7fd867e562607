package schema

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
)

const (
	sniffed = 1 << 20 // bytes looked at
	markAt  = 68      // of the application id in the first page
)

// WasStore reports whether a file that cannot be opened was a store before it
// was damaged: it bears a store's mark, or the text of its tables.
func WasStore(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was only read
	head, err := io.ReadAll(io.LimitReader(f, sniffed))
	if err != nil || len(head) < markAt+4 {
		return false
	}
	return binary.BigEndian.Uint32(head[markAt:]) == ApplicationID ||
		bytes.Contains(head, []byte("CREATE TABLE thread_reference"))
}
