package terminal

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTerminal: a program has a terminal of the size, and Ctrl-C reaches it.
func TestTerminal(t *testing.T) {
	one := Start(t, 72, 20, []string{"sh", "-c", "echo $WORD; stty size; exec cat"}, []string{"WORD=first"})
	one.Type("typed\n")
	one.Await(func(picture string) bool { // the terminal's echo, and what cat printed
		return strings.Contains(picture, "first") && strings.Contains(picture, "20 72") &&
			strings.Count(picture, "typed") == 2
	})
	one.Type("\x03")
	if status, screen := one.Wait(); status != -1 {
		t.Errorf("status %d:\n%s", status, screen)
	}
}
