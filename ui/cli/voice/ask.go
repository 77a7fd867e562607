package voice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"
)

// ErrNobody says that nobody can be asked.
var ErrNobody = errors.New("stdin is not a terminal")

// terminal is where a question is printed: stdout and stderr may be redirected.
func (v *Voice) terminal() (w io.Writer, done func()) {
	name := "/dev/tty"
	if runtime.GOOS == "windows" {
		name = "CONOUT$"
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return v.Err(), func() {}
	}
	return f, func() { _ = f.Close() } // nothing is buffered
}

// Password asks for a password without echo. When ctx ends, the terminal is
// restored and the error is context.Canceled.
func (v *Voice) Password(ctx context.Context, prompt string) (string, error) {
	if !v.CanAsk() {
		return "", ErrNobody
	}
	fd := int(v.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	terminal, done := v.terminal()
	defer done()
	_, _ = fmt.Fprint(terminal, prompt) // reading will fail as well
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // ends with the line, or with the process
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		_, _ = fmt.Fprintln(terminal)
		if a.err != nil {
			return "", fmt.Errorf("ask for the password: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
	}
	_, _ = fmt.Fprintln(terminal)
	return "", errors.Join(context.Canceled, term.Restore(fd, before))
}
