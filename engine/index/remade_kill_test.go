//go:build failpoints

package index

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mailcote/engine/progress"
	"mailcote/storage"
)

// An index that is made again finds everything after a kill at any step, and the next to ask for it goes on.
func TestFailpointsOfRemade(t *testing.T) {
	remake := func(s *storage.Store) error {
		x := Start(s, progress.New())
		return errors.Join(x.Drain(t.Context()), s.WriteAlone(t.Context(), (*storage.Writer).RemakeIndex),
			x.Remade(t.Context()), x.Stop())
	}
	open := func(path string) *storage.Store {
		s, err := storage.Open(t.Context(), path, storage.Options{Holder: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if path := os.Getenv("MAILCOTE_OWNS"); path != "" { // in the process that is killed
		t.Fatal(remake(open(path)))
	}
	const n = 2*respellBatch + 10
	for point, lacks := range map[string]int64{"engine.beforeRespell:1": n, "engine.beforeRespell:2": n - respellBatch,
		"engine.beforeRespell:3": 10, "engine.beforeSwap:1": 0} {
		t.Run(point, func(t *testing.T) {
			s := mailed(t, n)
			x := Start(s, progress.New())
			path := s.Path()
			if err := errors.Join(x.Drain(t.Context()), x.Stop(), s.Close()); err != nil {
				t.Fatal(err)
			}
			c := exec.Command(os.Args[0], "-test.run=^TestFailpointsOfRemade$")
			c.Env = append(os.Environ(), "MAILCOTE_OWNS="+path, "MAILCOTE_FAILPOINT="+point+":kill")
			if out, err := c.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("it was not killed: %v: %s", err, out)
			}
			s = open(path)
			if found, left := searchFor(t, s, "zebra"); found != n || left != lacks {
				t.Errorf("after the kill %d found, %d to go, want %d", found, left, lacks)
			}
			if err := s.WriteAlone(t.Context(), (*storage.Writer).RemakeIndex); err != nil {
				t.Fatal(err)
			}
			if _, left := searchFor(t, s, "zebra"); left != lacks {
				t.Errorf("%d to go when it was asked for again, want %d", left, lacks)
			}
			if err := remake(s); err != nil {
				t.Fatal(err)
			}
			if found, left := searchFor(t, s, "zebra"); found != n || left != 0 {
				t.Errorf("at the end %d found, %d to go", found, left)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
