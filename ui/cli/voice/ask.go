package voice

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"
)

var (
	// ErrNobody says that nobody can be asked.
	ErrNobody = errors.New("stdin is not a terminal")
	// ErrTerminal says that somebody would have to type what is to be read.
	ErrTerminal = errors.New("stdin is a terminal")
)

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

// most bounds what is read of stdin.
const most = 64 << 10

// FirstLine reads stdin up to the end of its first line, without a prompt. A
// terminal would show what is typed, so it is refused.
func (v *Voice) FirstLine(ctx context.Context) ([]byte, error) {
	if v.CanAsk() {
		return nil, ErrTerminal
	}
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // ends with the line, or with the process
		text, err := bufio.NewReader(io.LimitReader(v.in, most)).ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, fmt.Errorf("read stdin: %w", a.err)
		}
		return a.text, nil
	case <-ctx.Done():
		return nil, context.Canceled
	}
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
