//go:build unix

package secret

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestPipe: a password may come through a pipe, and a pipe that stays silent
// holds nobody.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ref := Ref{Kind: File, Value: path}
	if _, err := ref.Resolve(t.Context(), Box{}, ""); !errors.Is(err, ErrNoPassword) {
		t.Errorf("a pipe without a writer: %v", err)
	}
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close() //nolint:errcheck // nothing is lost with it
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ref.Resolve(ended, Box{}, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("a silent pipe after the context's end: %v", err)
	}
	reader, feeder, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close() //nolint:errcheck // nothing is lost with it
	if _, err := feeder.WriteString(canary + "\nmore\n"); err != nil {
		t.Fatal(err)
	}
	if err := feeder.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := fromFile(t.Context(), filepath.Join("/dev/fd", strconv.Itoa(int(reader.Fd()))))
	if err != nil || got.Reveal() != canary {
		t.Errorf("through a pipe: %q, %v", got.Reveal(), err)
	}
}
