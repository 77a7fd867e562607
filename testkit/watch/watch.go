// Package watch lets a test wait until another process has written a file,
// without polling.
package watch

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Tree is a directory whose files are watched, with all directories below it.
type Tree struct {
	files   *fsnotify.Watcher
	changed chan struct{}
	ended   chan struct{}
}

// Open watches a directory until Close.
func Open(dir string) (*Tree, error) {
	files, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := add(files, dir); err != nil {
		return nil, errors.Join(err, files.Close())
	}
	t := &Tree{files, make(chan struct{}, 1), make(chan struct{})}
	go t.follow()
	return t, nil
}

// Changed gets a value after files were written, one for many writes.
func (t *Tree) Changed() <-chan struct{} { return t.changed }

// Close ends the watch.
func (t *Tree) Close() error {
	err := t.files.Close()
	<-t.ended
	return err
}

// add watches a directory and those below it. One that has just been removed
// is no error.
func add(files *fsnotify.Watcher, dir string) error {
	return filepath.WalkDir(dir, func(path string, one fs.DirEntry, err error) error {
		if err == nil && one.IsDir() {
			err = files.Add(path)
		}
		if path != dir && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func (t *Tree) follow() {
	defer close(t.ended)
	for {
		select {
		case event, ok := <-t.files.Events:
			if !ok {
				return
			}
			if event.Has(fsnotify.Create) {
				_ = add(t.files, event.Name) // a file, or gone again: then its directory tells
			}
		case _, ok := <-t.files.Errors: // events were lost
			if !ok {
				return
			}
		}
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

// Files watches a directory until the test ends.
func Files(t testing.TB, dir string) <-chan struct{} {
	t.Helper()
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Close(); err != nil {
			t.Error(err)
		}
	})
	return tree.Changed()
}

// Until looks whether something is so, again after each change, and fails the
// test when it is not within a minute.
func Until(t testing.TB, changed <-chan struct{}, what string, so func() bool) {
	t.Helper()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for !so() {
		select {
		case <-changed:
		case <-late.C:
			t.Fatalf("never: %s", what)
		}
	}
}
