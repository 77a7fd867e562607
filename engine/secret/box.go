package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"mailcote/testkit/failpoint"
)

// Box is the file of saved passwords next to a store, of mode 0600.
type Box struct{ Path string }

// BoxOf returns the box of a store.
func BoxOf(store string) Box { return Box{Path: store + ".secrets"} }

// Get returns a saved password, or ErrNoPassword.
func (b Box) Get(key string) (Secret, error) {
	all, err := b.read()
	if err != nil {
		return Secret{}, err
	}
	value, ok := all[key]
	if !ok {
		return Secret{}, fmt.Errorf("%s holds none for %s: %w", b.Path, key, ErrNoPassword)
	}
	return New(value), nil
}

// Put saves a password.
func (b Box) Put(key string, s Secret) error {
	all, err := b.read()
	if err != nil {
		return err
	}
	all[key] = s.Reveal()
	return b.write(all)
}

// Copy saves under to the password that is saved under from. There may be none.
func (b Box) Copy(from, to string) error {
	value, err := b.Get(from)
	if errors.Is(err, ErrNoPassword) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.Put(to, value)
}

// Drop deletes a password.
func (b Box) Drop(key string) error {
	all, err := b.read()
	if err != nil {
		return err
	}
	if _, ok := all[key]; !ok {
		return nil
	}
	delete(all, key)
	return b.write(all)
}

func (b Box) read() (map[string]string, error) {
	info, err := os.Lstat(b.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("secrets file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("secrets file %s is not a regular file: remove it and give the password again", b.Path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secrets file %s can be read by others: chmod 600 %s", b.Path, b.Path)
	}
	text, err := os.ReadFile(b.Path)
	if err != nil {
		return nil, fmt.Errorf("secrets file: %w", err)
	}
	all := map[string]string{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("secrets file %s is damaged: remove it and give the passwords again", b.Path)
	}
	return all, nil
}

// write replaces the file with one rename, so that a crash leaves either the
// old or the new one.
func (b Box) write(all map[string]string) error {
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("secrets file: %w", err)
	}
	// Only the store's owner writes here, so a leftover is from a crash.
	temp := b.Path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("secrets file: %w", err)
	}
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("secrets file: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	failpoint.Hit("secret.beforeRename")
	if err == nil {
		err = os.Rename(temp, b.Path)
	}
	if err != nil {
		return fmt.Errorf("secrets file: %w", errors.Join(err, os.Remove(temp)))
	}
	return nil
}
