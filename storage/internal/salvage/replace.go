package salvage

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailcote/storage/internal/schema"
)

// fit refuses a file that waits to become the store and is none.
func fit(ctx context.Context, done string) error {
	db, err := sql.Open("sqlite", uri(done, "mode=ro&immutable=1"))
	if err != nil {
		return fmt.Errorf("put the salvaged store in place: %w", err)
	}
	if err := errors.Join(schema.Check(ctx, db, done), db.Close()); err != nil {
		// Not wrapped: it is not the store that is damaged or missing.
		return fmt.Errorf("%[1]s waits to become the store and cannot be used (%[2]v). Nothing was changed: remove "+
			"%[1]s and try again", done, err)
	}
	return nil
}

// expendable reports whether nothing is lost with the store at path: it is
// empty, or a kept copy is the same to the byte. So one that was put there
// after a salvage was decided is not overwritten.
func expendable(path string) (bool, error) {
	if sizeOf(path) == 0 {
		return true, nil
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return false, err
	}
	for _, one := range slices.Backward(names) { // the newest first
		if !strings.HasPrefix(one.Name(), filepath.Base(path)+keptSuffix) || strings.HasSuffix(one.Name(), logSuffix) {
			continue
		}
		kept := filepath.Join(filepath.Dir(path), one.Name())
		if ok, err := same(path, kept); err != nil {
			return false, err
		} else if !ok {
			continue
		}
		if info, err := os.Stat(path + logSuffix); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			return true, nil // a Finish that was killed has removed it
		}
		if ok, err := same(path+logSuffix, kept+logSuffix); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// same reports whether two files hold the same bytes; one that is missing is
// not the same.
func same(one, other string) (bool, error) {
	a, err := os.Open(one)
	if err != nil {
		return false, missing(err)
	}
	defer a.Close() //nolint:errcheck // it was only read
	b, err := os.Open(other)
	if err != nil {
		return false, missing(err)
	}
	defer b.Close() //nolint:errcheck // it was only read
	left, right := make([]byte, 1<<20), make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(a, left)
		m, failed := io.ReadFull(b, right)
		if err := errors.Join(beyondEnd(err), beyondEnd(failed)); err != nil || !bytes.Equal(left[:n], right[:m]) {
			return false, err
		}
		if n < len(left) {
			return true, nil
		}
	}
}

// beyondEnd drops the error of a file that ended.
func beyondEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// missing drops the error of a file that is not there.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
