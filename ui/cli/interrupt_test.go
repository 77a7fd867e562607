package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mailcote/storage"
	"mailcote/testkit/proxy"
	"mailcote/testkit/watch"
	"mailcote/ui/demo"
)

// TestInterrupt presses Ctrl-C in the middle of a sync: what was fetched is kept, the summary is printed, the next sync
// continues.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os.Interrupt cannot be sent there")
	}
	const messages = 400
	server, err := demo.Start(t.Context(), demo.Options{Seed: 17, Messages: messages})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // the scripts test it
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	slow := proxy.Start(t, u.Host, 1)
	slow.Set(proxy.Faults{Rate: 100_000}) // about six seconds for everything
	u.Host = slow.Addr()

	h := newHome(t, "unused")
	c := h.command("sync", u.String(), "--once", "--json")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	some := h.until(func(stored int64) bool { return stored > 0 })
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%v, want status 3; stderr: %s", err, stderr.String())
	}
	if some == messages {
		t.Fatal("the sync was over before Ctrl-C: the proxy is not slow")
	}
	if !strings.Contains(stdout.String(), `"result":"partial"`) || strings.Count(stdout.String(), "\n") != 1 {
		t.Errorf("stdout: %s", stdout.String())
	}
	for _, want := range []string{"Finishing what is being stored",
		"What was fetched is kept; mailcote sync continues."} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q: %s", want, stderr.String())
		}
	}
	kept := h.until(func(int64) bool { return true })
	if kept < some {
		t.Errorf("%d messages are kept, %d were stored before Ctrl-C", kept, some)
	}
	slow.Set(proxy.Faults{})
	out, err := h.command("sync", u.String(), "--once", "--json").Output()
	if want := fmt.Sprintf(`"fetched":%d,`, messages-kept); err != nil || !strings.Contains(string(out), want) ||
		!strings.Contains(string(out), `"result":"complete"`) {
		t.Errorf("the next sync: %v, %s, want %s", err, out, want)
	}
}

// until reads, beside the running program and whenever that has written, how many messages the store holds,
// until that is enough.
func (h *home) until(enough func(stored int64) bool) (stored int64) {
	h.t.Helper()
	watch.Until(h.t, watch.Files(h.t, h.dir), "enough messages", func() bool {
		st, err := storage.Open(context.Background(), filepath.Join(h.dir, "t.db"), storage.Options{ReadOnly: true})
		if err != nil {
			return false
		}
		err = errors.Join(st.Read(context.Background(), func(r *storage.Reader) error {
			counts, err := r.Count()
			stored = counts.Entries
			return err
		}), st.Close())
		return err == nil && enough(stored)
	})
	return stored
}
