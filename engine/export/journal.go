package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"

	"mailcote/storage"
)

// journalName is the file that says which export a directory is, and how far
// each mailbox file is. Its lines are only appended. A line that a kill cut is
// passed over.
const journalName = ".mailcote-export"

// What Run refuses about the directory.
var (
	// ErrOccupied says that the directory holds something else.
	ErrOccupied = errors.New("the directory is not empty and holds no export of this kind")
	// ErrOther says that the directory holds another export.
	ErrOther = errors.New("the directory holds another export")
	// ErrBusy says that another process exports into the directory.
	ErrBusy = errors.New("another export into this directory is running")
)

// kind says which export a directory is.
type kind struct {
	Version int    `json:"mailcote_export"`
	Store   string `json:"store"`
	Format  Format `json:"format"`
	Query   string `json:"query"`
	Account string `json:"account"`
	Emails  string `json:"emails,omitempty"` // row keys, where only some emails are exported
}

// words say what an export is, beside one of a store.
func (k kind) words(store string) string {
	what := "format " + string(k.Format)
	if k.Query != "" {
		what += fmt.Sprintf(", query %q", k.Query)
	}
	if k.Account != "" {
		what += fmt.Sprintf(", account %q", k.Account)
	}
	if n := len(strings.Fields(k.Emails)); n > 0 {
		what += fmt.Sprintf(", %d by id", n)
	}
	if k.Store != store {
		return what + ", of another store"
	}
	return what + ", of this store"
}

// state is how far a mailbox file is. Of the file itself, or of its partial
// one, the first Offset bytes are on the disk and whole.
type state struct {
	File     string              `json:"file"`
	Validity storage.UIDValidity `json:"uidvalidity"`
	UID      storage.UID         `json:"uid"` // the last one that was looked at
	Offset   int64               `json:"offset"`
	Messages int64               `json:"messages"`
	Missing  int64               `json:"missing"`
	Damaged  int64               `json:"damaged"`
	Done     bool                `json:"done"`
}

// journal is the open file of a directory that is locked.
type journal struct {
	file   *os.File
	lock   *flock.Flock
	states map[string]state // by file
}

// openJournal locks the directory and reads how far it is. A directory that is
// empty becomes an export of this kind.
func openJournal(root *os.Root, dir string, want kind) (*journal, error) {
	info, err := root.Lstat(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		if err = empty(root); err != nil {
			return nil, err
		}
	} else if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", journalName, ErrOccupied)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	j := &journal{states: map[string]state{}}
	if j.file, err = root.OpenFile(journalName, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	j.lock = flock.New(filepath.Join(dir, journalName), flock.SetFlag(os.O_RDWR))
	if got, err := j.lock.TryLock(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", j.lock.Path(), err), j.close())
	} else if !got {
		return nil, errors.Join(ErrBusy, j.close())
	}
	if err := j.read(want); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// empty refuses a directory that holds anything.
func empty(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // it was only read
	if names, err := d.Readdirnames(1); len(names) > 0 {
		return ErrOccupied
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (j *journal) read(want kind) error {
	lines := bufio.NewReader(j.file)
	first, err := lines.ReadBytes('\n')
	if errors.Is(err, io.EOF) { // new, or killed in its first moment
		if err := j.file.Truncate(0); err != nil {
			return err
		}
		return j.append(want)
	}
	if err != nil {
		return err
	}
	var have kind
	if err := json.Unmarshal(first, &have); err != nil || have.Version != want.Version {
		return fmt.Errorf("%w: %s cannot be read", ErrOther, journalName)
	}
	if have != want {
		return fmt.Errorf("%w (%s)", ErrOther, have.words(want.Store))
	}
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				_, err = j.file.WriteString("\n") // a line that was cut ends here
				return err
			}
			return nil
		}
		if err != nil {
			return err
		}
		var s state
		if json.Unmarshal(line, &s) == nil && s.File != "" {
			j.states[s.File] = s
		}
	}
}

// append writes a line that lasts.
func (j *journal) append(v any) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		return err
	}
	if _, err := j.file.Write(b.Bytes()); err != nil {
		return err
	}
	if s, ok := v.(state); ok {
		j.states[s.File] = s
	}
	return j.file.Sync()
}

func (j *journal) close() error { return errors.Join(j.lock.Close(), j.file.Close()) }
