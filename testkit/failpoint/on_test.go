//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/child"
)

func TestMain(m *testing.M) {
	if os.Getenv("MAILCOTE_CHILD") == "" {
		os.Exit(m.Run())
	}
	for i := range 3 {
		Hit("a.b")
		fmt.Println("passed", i)
	}
	Hit("c")
}

func TestHit(t *testing.T) {
	cases := []struct {
		spec   string
		code   int
		stdout string
	}{
		{"", 0, "passed 0\npassed 1\npassed 2\n"},
		{"other:1:kill", 0, "passed 0\npassed 1\npassed 2\n"},
		{"a.b:1:kill", -1, ""},
		{"a.b:3:kill", -1, "passed 0\npassed 1\n"},
		{"a.b:4:kill", 0, "passed 0\npassed 1\npassed 2\n"},
		{"a.b:2:exit", ExitStatus, "passed 0\n"},
		{"c:1:panic", 2, "passed 0\npassed 1\npassed 2\n"},
		{"a.b:1", 2, ""},
		{"a.b:x:kill", 2, ""},
		{"a.b:1:explode", 2, ""},
	}
	for _, c := range cases {
		p := child.Start(t, []string{os.Args[0]}, []string{"MAILCOTE_CHILD=1", "MAILCOTE_FAILPOINT=" + c.spec})
		if code := p.ExitCode(); code != c.code || p.Stdout() != c.stdout {
			t.Errorf("%q: status %d, stdout %q; want %d, %q", c.spec, code, p.Stdout(), c.code, c.stdout)
		}
	}
}

func TestSleep(t *testing.T) {
	p := child.Start(t, []string{os.Args[0]}, []string{"MAILCOTE_CHILD=1", "MAILCOTE_FAILPOINT=c:1:sleep=300ms"})
	if wall, _ := p.Usage(); wall < 300*time.Millisecond {
		t.Errorf("the program took %v", wall)
	}
}

func TestLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "hits")
	for range 2 {
		p := child.Start(t, []string{os.Args[0]}, []string{"MAILCOTE_CHILD=1", "MAILCOTE_FAILPOINT_LOG=" + log})
		if err := p.Wait(); err != nil {
			t.Fatalf("%v: %s", err, p.Stderr())
		}
	}
	got, err := os.ReadFile(log)
	if err != nil || string(got) != strings.Repeat("a.b\na.b\na.b\nc\n", 2) {
		t.Errorf("log %q, %v", got, err)
	}
}
