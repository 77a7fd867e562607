package child

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrEnded is given when a program ends before it wrote the line waited for.
var ErrEnded = errors.New("the program ended")

// lines keeps what was written and wakes those who wait for a line.
type lines struct {
	mu     sync.Mutex
	buf    strings.Builder
	closed bool
	grown  chan struct{} // closed and replaced at every change
	reader *os.File
	copied chan struct{} // closed when reader has ended
}

// pipe makes lines that keep what is written to the file returned. exec has
// such a pipe too, but waits for every process that holds it, and a program's
// own children may hold it for long.
func pipe(to **lines) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	l := &lines{grown: make(chan struct{}), reader: r, copied: make(chan struct{})}
	go func() {
		defer close(l.copied)
		_, _ = io.Copy(l, r) // the end of the pipe is the only thing awaited
	}()
	*to = l
	return w, nil
}

// finish waits for the end of the pipe, but not for ever: a process that left
// the group may still hold it.
func (l *lines) finish() {
	_ = l.reader.SetReadDeadline(time.Now().Add(2 * time.Second)) // not all systems can; then it is the pipe's end
	<-l.copied
	l.reader.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p)
	close(l.grown)
	l.grown = make(chan struct{})
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) wait(ctx context.Context, match func(string) bool) (string, error) {
	seen := 0
	for {
		l.mu.Lock()
		text, closed, grown := l.buf.String(), l.closed, l.grown
		l.mu.Unlock()
		for {
			end := strings.IndexByte(text[seen:], '\n')
			if end < 0 {
				break
			}
			line := text[seen : seen+end]
			seen += end + 1
			if match(line) {
				return line, nil
			}
		}
		if closed {
			if rest := text[seen:]; rest != "" && match(rest) {
				return rest, nil
			}
			return "", ErrEnded
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-grown:
		}
	}
}
