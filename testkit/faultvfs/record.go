package faultvfs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Log is what SQLite did to the files of one directory, in order, while it was
// recorded. -shm is not part of it: it is mapped memory, which a power loss
// does not leave behind.
type Log struct {
	dir  string
	base map[string][]byte // files that were there before, durable

	mu    sync.Mutex
	ops   []operation
	ended bool
}

type kind int

const (
	opened kind = iota // made if it was missing
	written
	truncated
	synced
	deleted
)

// operation is one call that succeeded.
type operation struct {
	kind   kind
	name   string // of the file in its directory
	offset int64  // where it was written; of a truncate: the new size
	bytes  []byte
	before int // of a sync: what is durable now was recorded before this operation
}

// Record begins to log what happens in dir, on files opened through the VFS.
// One log is recorded at a time; Stop ends it.
func Record(dir string) (*Log, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("faultvfs: record: %w", err)
	}
	l := &Log{dir: dir, base: map[string][]byte{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("faultvfs: record: %w", err)
	}
	for _, e := range entries {
		if e.Type()&fs.ModeType != 0 || !recorded(e.Name()) {
			continue
		}
		if l.base[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("faultvfs: record: %w", err)
		}
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	if state.log != nil {
		panic("faultvfs: a log is being recorded")
	}
	state.log = l
	return l, nil
}

func recorded(name string) bool { return !strings.HasSuffix(name, "-shm") }

// Stop ends the log.
func (l *Log) Stop() {
	state.mu.Lock()
	if state.log == l {
		state.log = nil
	}
	state.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// Len is how many operations were recorded. A test notes it after each acknowledgement: what was acknowledged
// must survive every cut from there on.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ops)
}

// recording gives the log that a file belongs to; nil: none.
func (f *faults) recording(path string) (*Log, string) {
	f.mu.Lock()
	l := f.log
	f.mu.Unlock()
	if l == nil || filepath.Dir(path) != l.dir || !recorded(path) {
		return nil, ""
	}
	return l, filepath.Base(path)
}

// note records an operation that succeeded.
func (f *faults) note(path string, op operation) {
	l, name := f.recording(path)
	if l == nil {
		return
	}
	op.name, op.bytes = name, slices.Clone(op.bytes)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ops = append(l.ops, op)
	}
}

// begin gives the position that a sync which starts now will vouch for.
func (f *faults) begin(path string) int {
	if l, _ := f.recording(path); l != nil {
		return l.Len()
	}
	return 0
}
