package secret

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Kind says where a password comes from.
type Kind string

// The kinds of reference.
const (
	None    Kind = ""        // nowhere: it is given for each run
	File    Kind = "file"    // the first line of a file
	Command Kind = "command" // the first line a command prints
	Saved   Kind = "saved"   // the secrets file next to the store
)

// Ref says where a password comes from. It is not secret itself.
type Ref struct {
	Kind  Kind
	Value string // path, command line, or key in the secrets file; "" there: the account's name
}

var (
	// ErrNoPassword means that a reference leads to no password.
	ErrNoPassword = errors.New("no password is known")
	// ErrNotText means that what a reference leads to is no text in UTF-8.
	ErrNotText = errors.New("it is UTF-16 or no text: save it as UTF-8")
)

const (
	sourceTime = 30 * time.Second // for a pipe or a command to produce the password
	maxSecret  = 64 << 10         // bytes read from a file or a command
)

// ParseRef parses the form that String returns.
func ParseRef(s string) (Ref, error) {
	kind, value, _ := strings.Cut(s, ":")
	switch Kind(kind) {
	case None, Saved, File, Command:
		return Ref{Kind(kind), value}, nil
	}
	return Ref{}, fmt.Errorf("secret reference %q: unknown kind", kind)
}

// String returns the form that the store keeps.
func (r Ref) String() string {
	if r.Value == "" {
		return string(r.Kind)
	}
	return string(r.Kind) + ":" + r.Value
}

// Resolve returns the password. box is where saved ones are, and key is the
// account's name in it.
func (r Ref) Resolve(ctx context.Context, box Box, key string) (Secret, error) {
	switch r.Kind {
	case File:
		return fromFile(ctx, r.Value)
	case Command:
		return fromCommand(ctx, r.Value)
	case Saved:
		return box.Get(cmp.Or(r.Value, key))
	}
	return Secret{}, ErrNoPassword
}

// fromFile reads a file, or a pipe such as /dev/stdin. Without O_NONBLOCK,
// opening a pipe that nobody writes to would block the process for ever. With
// it, the end of ctx ends the read.
func fromFile(ctx context.Context, path string) (Secret, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Secret{}, fmt.Errorf("password file: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	ctx, cancel := context.WithTimeout(ctx, sourceTime)
	defer cancel()
	// A regular file has no deadline and needs none.
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%s: %w (at most %v)", path, ctx.Err(), sourceTime)
	}
	if err != nil {
		return Secret{}, fmt.Errorf("password file: %w", err)
	}
	return FirstLine(text, "password file "+path)
}

func fromCommand(ctx context.Context, line string) (Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTime)
	defer cancel()
	shell, flag := "/bin/sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/c"
	}
	command := exec.CommandContext(ctx, shell, flag, line)
	command.WaitDelay = time.Second
	var out bytes.Buffer
	command.Stdout = &limited{&out, maxSecret}
	command.Stderr = nil // a password helper's messages may contain the password
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (at most %v)", ctx.Err(), sourceTime)
		}
		return Secret{}, fmt.Errorf("password command: %w", err)
	}
	return FirstLine(out.Bytes(), "password command")
}

// FirstLine returns the first line of a text as the password. what names the
// text in an error. Editors and shells of Windows begin a text with a byte
// order mark, which is no part of the password. UTF-16 is refused, because its
// octets are not those of the password.
func FirstLine(text []byte, what string) (Secret, error) {
	line, _, _ := strings.Cut(string(bytes.TrimPrefix(text, []byte("\ufeff"))), "\n")
	line = strings.TrimSuffix(line, "\r")
	if strings.HasPrefix(line, "\xff\xfe") || strings.HasPrefix(line, "\xfe\xff") ||
		strings.IndexByte(line, 0) >= 0 {
		return Secret{}, fmt.Errorf("%s: %w", what, ErrNotText)
	}
	if line == "" {
		return Secret{}, fmt.Errorf("%s: its first line is empty: %w", what, ErrNoPassword)
	}
	return New(line), nil
}

// limited keeps the first left bytes and discards the rest.
type limited struct {
	w    *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.w.Write(p[:n])
	l.left -= n
	return len(p), nil
}
