package owner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// beside are the files that live next to a store: SQLite's own and ours.
var beside = [...]string{"-wal", "-shm", "-journal", lockSuffix, ownerSuffix}

// Prepare makes sure that the store at path may be opened read-write, creating
// it (empty, 0600) when it is missing.
//
// isDefault says that nobody chose the path: missing directories are then
// created 0700. A directory that a person chose is taken as it is; warnings say
// what is unwise about it. What may not be used comes back as a *RefusedError.
func Prepare(path string, isDefault bool) (warnings []string, err error) {
	return thisProcess().prepare(path, isDefault)
}

// system is what the checks ask the operating system, so that tests can answer.
type system struct {
	uid int // effective user, -1 where there is none
	// remote names the kind of file system dir is on when SQLite's WAL is not
	// safe there, "" when it is.
	remote func(dir string) (string, error)
}

func thisProcess() system { return system{uid: os.Geteuid(), remote: remoteFS} }

func (s system) prepare(path string, isDefault bool) ([]string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("owner: locate the store: %w", err)
	}
	warnings, err := s.prepareDir(filepath.Dir(path), isDefault)
	if err != nil {
		return nil, err
	}
	if err := s.checkBeside(path); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, err
		}
		info, err = os.Lstat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("owner: look at the store: %w", err)
	}
	if err := s.check(path, info); err != nil {
		return warnings, err
	}
	if err := writableFile(path); err != nil { // whatever its mode is: a mount or an attribute may forbid it
		return warnings, refuse(path, "cannot be written ("+err.Error()+")",
			"make it writable, or choose another --store")
	}
	return warnings, nil
}

func (s system) prepareDir(dir string, isDefault bool) ([]string, error) {
	if isDefault {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("owner: create the directory of the store: %w", err)
		}
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse(dir, "does not exist", "create it, or choose another --store")
	case err != nil:
		return nil, fmt.Errorf("owner: look at the directory of the store: %w", err)
	case !info.IsDir():
		return nil, refuse(dir, "is not a directory", "choose another --store")
	}
	if kind, err := s.remote(dir); err != nil {
		return nil, fmt.Errorf("owner: ask for the file system of %s: %w", dir, err)
	} else if kind != "" {
		return nil, refuse(dir, "is on "+kind+", where SQLite's locks and shared memory are not safe",
			"keep the store on a local disk (--store FILE)")
	}
	if by := syncedBy(dir); by != "" {
		return nil, refuse(dir,
			"is in a folder that "+by+" keeps in step with other machines, which copies the store's files one by one "+
				"and damages it",
			"keep the store outside of it (--store FILE)")
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	return dirWarnings(dir, info), nil
}

func checkDir(dir string) error {
	if err := writableDir(dir); err != nil {
		return refuse(dir, "cannot be written ("+err.Error()+"), and SQLite keeps files beside the store",
			"make it writable, or choose another --store")
	}
	return nil
}

// Beside says why SQLite cannot put its files beside the store at path, which
// it does for a reader, too: a *RefusedError; nil: it can.
func Beside(path string) error { return checkDir(filepath.Dir(path)) }

// Inspect makes sure that a store may be opened for reading alongside its
// owner: what Prepare would refuse about the file itself comes back as a
// *RefusedError, apart from its mode, which does not matter to a reader.
// Errors: fs.ErrNotExist.
func Inspect(path string) error { return thisProcess().inspect(path) }

func (s system) inspect(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("owner: look at the store: %w", err)
	}
	if err := checkKind(path, info); err != nil {
		return err
	}
	return s.checkOwner(path, info)
}

// checkBeside judges the files next to the store. A log without its store is
// refused: SQLite would delete it, and with it what was committed, as soon as a
// new empty store stands beside it (FAULTS L6).
func (s system) checkBeside(path string) error {
	for _, suffix := range beside {
		name := path + suffix
		info, err := os.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("owner: look beside the store: %w", err)
		}
		if err := s.check(name, info); err != nil {
			return err
		}
		if info.Size() == 0 || suffix != "-wal" && suffix != "-journal" {
			continue
		}
		// Looked at only now: whoever creates a store does so before its log.
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return refuse(name, "is here but its store is not", "put the store back beside it, or move this file away")
		}
	}
	return nil
}

// check judges one existing file.
func (s system) check(path string, info fs.FileInfo) error {
	if err := checkKind(path, info); err != nil {
		return err
	}
	if err := s.checkOwner(path, info); err != nil {
		return err
	}
	return checkMode(path, info)
}

func checkKind(path string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return refuse(path, "is a symbolic link", "name the file it points to")
	case !info.Mode().IsRegular():
		return refuse(path, "is not a regular file", "choose another --store")
	}
	return nil
}

// create makes the empty store. That another process was faster is no error:
// the caller looks at what is there.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|noFollow, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("owner: create the store: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("owner: create the store: %w", err)
	}
	return nil
}
