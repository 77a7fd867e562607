package secret

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestCorrected: which changes of a password file are worth another attempt.
func TestCorrected(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pw")
	ref := Ref{File, path}
	times := 0
	put := func(text string) {
		times++
		at := time.Now().Add(time.Duration(times) * time.Second).Add(-time.Hour)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	read := func() Reading {
		now, ok := ref.Reads()
		if !ok {
			t.Fatal("no file")
		}
		return now.Gave(ref.Resolve(t.Context(), Box{}, ""))
	}
	check := func(r *Reading, want bool, when string) {
		t.Helper()
		later, corrected := r.Corrected(t.Context(), ref)
		if *r = later; corrected != want {
			t.Errorf("%s: %v", when, corrected)
		}
	}
	put("one\n")
	r := read()
	check(&r, false, "the same")
	put("one\r\nremark")
	check(&r, false, "the same first line")
	at := r.Modified
	put("six\n")
	check(&r, true, "another")
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
	check(&r, true, "another, of the same time and another size")
	put("")
	check(&r, false, "empty")
	put("six\n")
	if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	check(&r, false, "half written, perhaps")
	put("six\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check(&r, false, "gone")
	r = read()
	if !r.Modified.IsZero() {
		t.Errorf("what could not be read has a time: %v", r.Modified)
	}
	put("six\n")
	check(&r, true, "there at last")

	// Another process knows the time alone. It learns the password that was refused from the file itself.
	r = Reading{Modified: read().Modified}
	check(&r, false, "the time that is known")
	put("six\n")
	check(&r, false, "touched since")
	put("ten\n")
	check(&r, true, "corrected since")
	r = Reading{Modified: at}
	check(&r, true, "another time")
	if _, ok := (Ref{Command, "echo x"}).Reads(); ok {
		t.Error("a command is no file")
	}
}
