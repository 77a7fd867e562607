package cli

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/adrg/xdg"

	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
)

func TestTyped(t *testing.T) {
	for arg, repeated := range map[string]bool{
		"anna": true, "anna@example.org": true, "a:b": true, "[::1]": true,
		"anna:pw@host": false, "imaps://anna:pw@host": false, "imap:/anna:pw@host": false, "imaps:anna@host": false,
	} {
		if got := typed(arg); strings.Contains(got, arg) != repeated {
			t.Errorf("%q: %s", arg, got)
		}
	}
}

func TestShellWord(t *testing.T) {
	for name, want := range map[string]string{
		"anna@example.org": "anna@example.org", "Büro": "Büro", "": "''", "My Work": "'My Work'", "it's": `'it'\''s'`,
		"$(x)": "'$(x)'", "a;b": "'a;b'",
	} {
		if got := view.ShellWord(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestJoined(t *testing.T) {
	for _, one := range [][3]string{{"refused.", "try again", "refused: try again"}, {"refused.", "", "refused."},
		{"a", "b", "a: b"}} {
		if got := joined(one[0], one[1]); got != one[2] {
			t.Errorf("%q, want %q", got, one[2])
		}
	}
}

// TestMistyped: what must not be done is refused before anything is opened, and never repeats a password.
func TestMistyped(t *testing.T) {
	for _, one := range []struct {
		terminal bool
		args     []string
		says     string
	}{
		{true, []string{"show", "x", "--raw"}, "a terminal would obey"},
		{true, []string{"show", "x", "--html"}, "a terminal would obey"},
		{true, []string{"show", "x", "--part", "1"}, "a terminal would obey"},
		{false, []string{"show", "x", "--raw", "--json"}, "exclude each other"},
		{false, []string{"--json"}, "COMMAND is missing"},
		{false, []string{"queue", "--json"}, "COMMAND is missing"},
		{false, []string{"imaps://anna:canary@host"}, "unknown command (not repeated"},
		{false, []string{"status", "imaps://anna:canary@host"}, "takes no argument, not (not repeated"},
		{false, []string{"queue", "show", "anna:canary@host"}, "no task's number"},
	} {
		a := &app{voice: voice.New(os.Stdin, os.Stdout, os.Stderr)}
		a.voice.OutTTY = one.terminal
		root := a.root()
		root.SetArgs(append(one.args, "--store", filepath.Join(t.TempDir(), "none.db")))
		err := root.ExecuteContext(t.Context())
		if mistyped := (*usageError)(nil); !errors.As(err, &mistyped) || !strings.Contains(err.Error(), one.says) ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v, want %q", one.args, err, one.says)
		}
	}
}

// TestStateDir: a directory beside the store is believed only when nobody else can write to it.
func TestStateDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes say nothing there")
	}
	store := filepath.Join(t.TempDir(), "t.db")
	ours := filepath.Join(xdg.StateHome, "mailcote")
	if got := stateDir(store); got != ours {
		t.Errorf("without one: %s", got)
	}
	if err := os.Mkdir(store+stateSuffix, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := stateDir(store); got != store+stateSuffix {
		t.Errorf("a private one: %s", got)
	}
	if err := os.Chmod(store+stateSuffix, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := stateDir(store); got != ours {
		t.Errorf("one that others can write to: %s", got)
	}
}
