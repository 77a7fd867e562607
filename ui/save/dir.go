package save

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mostAlike bounds how many files of one name a directory gets.
const mostAlike = 100_000

// Dir is a directory that files are saved into. One goroutine uses it.
type Dir struct {
	path string
	root *os.Root
	last map[string]int // the last number that each name got, by its lower case
}

// Open opens a directory. It is made if it is missing.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("directory for attachments: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("directory for attachments: %w", err)
	}
	return &Dir{path, root, map[string]int{}}, nil
}

// Save writes a file under a name from Name, or under one with a number if that
// is taken. It returns the path of the file. What could not be written whole is
// removed.
func (d *Dir) Save(name string, body io.Reader) (path string, size int64, err error) {
	f, name, err := d.create(name)
	if err != nil {
		return "", 0, fmt.Errorf("save an attachment in %s: %w", d.path, err)
	}
	size, err = io.Copy(f, body)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, errors.Join(fmt.Errorf("save an attachment as %s: %w", filepath.Join(d.path, name), err),
			d.root.Remove(name))
	}
	return filepath.Join(d.path, name), size, nil
}

// create makes a new file. O_EXCL takes no link for a new file.
func (d *Dir) create(name string) (*os.File, string, error) {
	key := strings.ToLower(name)
	for n := d.last[key] + 1; n <= mostAlike; n++ {
		one := numbered(name, n)
		f, err := d.root.OpenFile(one, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		d.last[key] = n
		return f, one, err
	}
	return nil, "", fmt.Errorf("%q: %w", name, fs.ErrExist)
}

// Close ends the use of the directory.
func (d *Dir) Close() error { return d.root.Close() }
