package voice

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// Confirm asks a question that is answered by yes or no; no is what an empty
// line and every other word mean. When ctx ends, the error is context.Canceled.
func (v *Voice) Confirm(ctx context.Context, question string) (bool, error) {
	if !v.CanAsk() {
		return false, ErrNobody
	}
	terminal, done := v.terminal()
	defer done()
	lines := wrap(v.errColumns, "", 0, question+" (y/N)")
	_, _ = fmt.Fprint(terminal, strings.Join(lines, "\n")+" ") // reading will fail as well
	answers := make(chan string, 1)
	go func() { answers <- readLine(v.in) }() // ends with the line, or with the process
	select {
	case answer := <-answers:
		answer = strings.ToLower(strings.TrimSpace(answer))
		return answer == "y" || answer == "yes", nil
	case <-ctx.Done():
	}
	_, _ = fmt.Fprintln(terminal)
	return false, context.Canceled
}

// readLine reads a line, and nothing after it: what follows may be a password.
// An answer that cannot be read is an empty one.
func readLine(f *os.File) string {
	var line []byte
	for one := make([]byte, 1); ; {
		if n, err := f.Read(one); err != nil || n == 0 || one[0] == '\n' {
			return string(line)
		}
		if len(line) < 1024 {
			line = append(line, one[0])
		}
	}
}
