package main

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A run prints a line for each slice and each reading, finds what it stored, and leaves nothing.
func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out strings.Builder
	if err := run(t.Context(), &out, options{messages: 130, slice: 50, batch: 20, bytes: 100, seed: 1}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"\n       50 ", "\n      100 ", "\n      130 ", "open to read", "counts",
		`first page of "mail"`, `"is:flagged"`, "on disk"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		for name, n := range map[string]string{"counts ": "130", "UIDs ": "130", `first page of "mail"`: "50",
			`first page of "is:flagged"`: "1"} {
			if f := strings.Fields(line); strings.HasPrefix(line, name) && f[len(f)-1] != n {
				t.Errorf("want %s: %s", n, line)
			}
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := run(t.Context(), &out, options{messages: 1}); err == nil {
		t.Error("slices of nothing")
	}
}
