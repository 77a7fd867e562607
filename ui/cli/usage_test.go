package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mailcote/ui/cli/man"
	"mailcote/ui/cli/voice"
)

// ran runs a command line without a terminal and gives its exit status and what it said on stderr.
func ran(t *testing.T, args ...string) (int, string) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	dir := t.TempDir()
	errs := filepath.Join(dir, "err")
	status := Run(t.Context(), args, open(filepath.Join(dir, "in")), open(filepath.Join(dir, "out")), open(errs))
	text, err := os.ReadFile(errs)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(text)
}

// every calls fn for each command and the words that run it.
func every(c *cobra.Command, words []string, fn func(c *cobra.Command, words []string)) {
	fn(c, words)
	for _, one := range c.Commands() {
		every(one, append(words[:len(words):len(words)], one.Name()), fn)
	}
}

// TestUsageErrors: whatever is wrong with what was typed ends with status 2, says so in one line, and makes no store.
func TestUsageErrors(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MAILCOTE_STORE", filepath.Join(dir, "t.db"))
	t.Setenv("XDG_STATE_HOME", dir)
	root := (&app{voice: voice.New(os.Stdin, os.Stdout, os.Stderr)}).root()
	commands := 0
	mistaken := func(words ...string) {
		t.Helper()
		if status, said := ran(t, words...); status != int(Usage) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: status %d, %q", strings.Join(words, " "), status, said)
		}
	}
	every(root, nil, func(c *cobra.Command, words []string) {
		commands++
		mistaken(append(words[:len(words):len(words)], "--nosuchflag")...)
		mistaken(append(words[:len(words):len(words)], "--store")...)
		mistaken(append(words[:len(words):len(words)], "--json=maybe")...)
		if err := c.ValidateArgs([]string{"a", "b", "c", "d"}); err != nil {
			mistaken(append(words[:len(words):len(words)], "a", "b", "c", "d")...)
		}
		if err := c.ValidateArgs(nil); err != nil {
			mistaken(words...)
		}
	})
	if commands < 40 {
		t.Errorf("only %d commands", commands)
	}
	for _, line := range []string{"nosuch", "account nosuch", "completion nosuch", "completion bash extra",
		"help nosuch",
		"help account nosuch", "errors --since x", "errors --since -1d", "queue priority 11 1", "queue retry",
		"search --limit x y", "search before:x", "sql --timeout -1s x", "run --port 99999", "run --port -1",
		"account add http://x@y", "account add x", "account set a", "account set a --port 0", "account remove a",
		"mailbox set a b", "mailbox set a b --sync maybe", "errors retry", "errors raw 5", "queue show x"} {
		mistaken(strings.Fields(line)...)
	}
	if _, err := os.Stat(filepath.Join(dir, "t.db")); err == nil {
		t.Error("a store was made")
	}
}

// TestManualFits: no line of a manual page that is not broken anew is wider than a terminal of 80 columns.
func TestManualFits(t *testing.T) {
	root := (&app{voice: voice.New(os.Stdin, os.Stdout, os.Stderr)}).root()
	kept := 0
	for _, page := range man.Pages(root, "", statusLines()) {
		still := false
		for line := range strings.Lines(page.Text) {
			line = strings.TrimSuffix(line, "\n")
			if line == ".nf" || line == ".fi" {
				still = line == ".nf"
			}
			if shown := strings.ReplaceAll(line, `\-`, "-"); still && !strings.HasPrefix(line, ".") {
				if kept++; len(shown) > man.Width {
					t.Errorf("%s: %s", page.Name, shown)
				}
			}
		}
	}
	if kept < 40 {
		t.Errorf("only %d lines", kept)
	}
}
