package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Approvals is the directory of this machine that says which passwords may be
// fetched for which accounts. A store is a file that somebody else may have
// made: its reference could run any command, or send the first line of any file
// to any server. So a command or a file is used only for the login and the store
// for which it was named on this machine. The zero value approves nothing.
type Approvals struct{ Dir string }

// Grant is what is approved: a reference for one login of one store.
type Grant struct {
	Store string // the store's id
	User  string
	Addr  string // host and port
	How   string // how the connection is secured
	Ref   Ref
}

// UnapprovedError says that a reference was not approved on this machine.
type UnapprovedError struct{ Ref Ref }

func (e *UnapprovedError) Error() string {
	what := "wants the password from the file " + e.Ref.Value
	if e.Ref.Kind == Command {
		what = "wants to run the command " + e.Ref.Value
	}
	return "the store " + what + ", which nobody asked for on this machine"
}

// Flag writes the reference as a flag of account set and account add.
func (e *UnapprovedError) Flag() string {
	return "--password-" + string(e.Ref.Kind) + " '" + strings.ReplaceAll(e.Ref.Value, "'", `'\''`) + "'"
}

// needed reports whether a reference leads out of the store's own files.
func (g Grant) needed() bool { return g.Ref.Kind == Command || g.Ref.Kind == File }

// file is where a grant is written. Its name shows nothing of the command.
func (a Approvals) file(g Grant) string {
	h := sha256.New()
	for _, part := range []string{g.Store, g.User, g.Addr, g.How, g.Ref.String()} {
		fmt.Fprintf(h, "%d:%s", len(part), part) //nolint:errcheck // a hash takes everything
	}
	return filepath.Join(a.Dir, hex.EncodeToString(h.Sum(nil)))
}

// Approve lets a reference be used. One that stays in the store's own files
// needs no approval.
func (a Approvals) Approve(g Grant) error {
	if !g.needed() || a.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return fmt.Errorf("approve the source of a password: %w", err)
	}
	f, err := os.OpenFile(a.file(g), os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("approve the source of a password: %w", err)
	}
	return nil
}

// Revoke ends an approval. There may be none.
func (a Approvals) Revoke(g Grant) error {
	if !g.needed() || a.Dir == "" {
		return nil
	}
	if err := os.Remove(a.file(g)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("revoke the source of a password: %w", err)
	}
	return nil
}

// Check returns an *UnapprovedError if a reference must not be used here.
func (a Approvals) Check(g Grant) error {
	if !g.needed() {
		return nil
	}
	unapproved := &UnapprovedError{g.Ref}
	if a.Dir == "" {
		return unapproved
	}
	dir, err := os.Stat(a.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return unapproved
	}
	if err != nil {
		return fmt.Errorf("approved sources of passwords: %w", err)
	}
	if runtime.GOOS != "windows" && dir.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("approved sources of passwords: others can write to %s: chmod 700 %s", a.Dir, a.Dir)
	}
	one, err := os.Lstat(a.file(g))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !one.Mode().IsRegular():
		return unapproved
	case err != nil:
		return fmt.Errorf("approved sources of passwords: %w", err)
	}
	return nil
}
