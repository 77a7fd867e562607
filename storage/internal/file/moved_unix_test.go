//go:build unix

package file

import (
	"errors"
	"mailcote/storage/owner"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// A path that cannot be looked at for a while stops writing for that while, and not for good.
func TestPathFailsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, filepath.Join(dir, "mail.db"), Options{Limits: hasty()})
		sink(t, s)
		for round := range 2 {
			// a way that leads nowhere
			if err := errors.Join(os.Rename(dir, dir+".old"), os.Symlink(dir, dir)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.Write(t.Context(), Interactive, 0, put("a", nil)); !errors.Is(err, ErrFailing) ||
					errors.Is(err, owner.ErrMoved) {
					t.Errorf("round %d: told %v", round, err)
				}
			}
			if err := errors.Join(os.Remove(dir), os.Rename(dir+".old", dir)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if err := s.Write(t.Context(), Interactive, 0, put("b", nil)); err != nil {
				t.Fatalf("round %d: afterwards told %v", round, err)
			}
		}
		if m := marks(t, s); m != "b b" {
			t.Errorf("kept %q", m)
		}
	})
}
