package cli

import (
	"os"
	"path/filepath"
	"testing"

	"mailcote/ui/cli/voice"
)

// TestFollowing: a terminal is shown how far a piece of work is. What follows it is shown at once, and a check that
// follows another says so: it counts no message anew.
func TestFollowing(t *testing.T) {
	t.Setenv("TERM", "xterm")
	errs, err := os.Create(filepath.Join(t.TempDir(), "err"))
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close() //nolint:errcheck // it is read
	a := &app{voice: voice.New(os.Stdin, os.Stdout, errs)}
	if a.following("Copied", " pages") != nil || a.checking() != nil {
		t.Error("it shows something without a terminal")
	}
	a.voice.ErrTTY = true
	check := a.checking()
	for _, n := range []int64{120, 121, 720, 180, 720} {
		check(n, 720)
	}
	a.following("Compared", " messages")(60, 120)
	const over = "\r\x1b[K"
	want := over + "Checking the store (16 %)" + over + over + "Checking it again (25 %)" + over + over +
		"Compared 60 of 120 messages (50 %)"
	if got, err := os.ReadFile(errs.Name()); err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
