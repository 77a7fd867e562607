package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/ui/web"
)

// The program that opens a browser gets one file, on every system.
func TestOpenerGetsTheFile(t *testing.T) {
	const file = "/home/robin/.local/state/mailcote/open-1.html"
	for system, want := range map[string]string{
		"linux": "xdg-open " + file, "freebsd": "xdg-open " + file, "darwin": "open " + file,
		"windows": "rundll32 url.dll,FileProtocolHandler " + file,
	} {
		name, args := opener(system, file)
		if got := name + " " + strings.Join(args, " "); got != want {
			t.Errorf("%s: %s, want %s", system, got, want)
		}
	}
}

// standIn puts a script in the place of the program that opens files.
func standIn(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script in the place of the opener")
	}
	dir := t.TempDir()
	name, _ := opener(runtime.GOOS, "")
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("DISPLAY", ":9")
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

const aLink = "http://127.0.0.1:1/login?once=A&b=\"c"

func silent(t *testing.T) func(error) {
	return func(err error) { t.Errorf("said: %v", err) }
}

func TestOpeningGoesWhenItsLinkWasUsed(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen") // what the browser was given, through a pipe
	if err := exec.Command("mkfifo", seen).Run(); err != nil {
		t.Fatal(err)
	}
	standIn(t, `{ echo $#; cat "$1"; } >'`+seen+`'`)
	state := filepath.Join(t.TempDir(), "state")
	used := make(chan struct{})
	o, err := Open(t.Context(), state, "store", web.Invitation{Link: aLink, Used: used}, silent(t))
	if err != nil || o == nil {
		t.Fatalf("%v, %v", o, err)
	}
	info, err := os.Stat(o.path)
	if err != nil || info.Mode() != 0o600 || filepath.Dir(o.path) != state {
		t.Errorf("%s: %v, %v", o.path, info, err)
	}
	text, err := os.ReadFile(seen)
	close(used)
	o.wg.Wait()
	gone(t, o.path)
	refresh := `content="0; url=http://127.0.0.1:1/login?once=A&amp;b=&#34;c">`
	if err != nil || !strings.HasPrefix(string(text), "1\n") || !strings.Contains(string(text), refresh) {
		t.Errorf("the browser saw %q, %v", text, err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpeningGoesWithTheAgent(t *testing.T) {
	standIn(t, "exec sleep 1000") // some openers stay as long as the browser
	o, err := Open(t.Context(), t.TempDir(), "store", web.Invitation{Link: aLink, Used: make(chan struct{})}, silent(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	gone(t, o.path)
}

func TestOpeningGoesWhenTheBrowserDoesNotOpen(t *testing.T) {
	standIn(t, "exit 3")
	said := make(chan error, 1)
	i := web.Invitation{Link: aLink, Used: make(chan struct{})}
	o, err := Open(t.Context(), t.TempDir(), "store", i, func(err error) { said <- err })
	if err != nil {
		t.Fatal(err)
	}
	if err := <-said; !strings.Contains(err.Error(), "exit status 3") || strings.Contains(err.Error(), "once=") {
		t.Errorf("said %v", err)
	}
	o.wg.Wait()
	gone(t, o.path)
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpeningGoesWhenItsLinkIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &Opening{path: filepath.Join(t.TempDir(), "open.html")}
		check(t, os.WriteFile(o.path, nil, 0o600))
		began := time.Now()
		check(t, o.removeWhenOver(context.Background(), nil, nil))
		if took := time.Since(began); took != web.InvitationLife {
			t.Errorf("after %v", took)
		}
		gone(t, o.path)
	})
}

func TestNoBrowserIsOpenedWithoutADisplay(t *testing.T) {
	standIn(t, "exit 3")
	state := t.TempDir()
	t.Setenv("PATH", t.TempDir())
	if o, err := Open(t.Context(), state, "store", web.Invitation{Link: aLink}, silent(t)); o != nil || err != nil {
		t.Errorf("without an opener: %v, %v", o, err)
	}
	standIn(t, "exit 3")
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	o, err := Open(t.Context(), state, "store", web.Invitation{Link: aLink}, silent(t))
	if runtime.GOOS == "linux" && (o != nil || err != nil) {
		t.Errorf("without a display: %v, %v", o, err)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// An agent that was killed leaves its file; the next one removes it.
func TestPublishRemovesAnOldOpening(t *testing.T) {
	state := t.TempDir()
	check(t, os.WriteFile(openingPath(state, "store"), nil, 0o600))
	check(t, os.WriteFile(openingPath(state, "other"), nil, 0o600))
	published, err := Publish(state, "store", Agent{URL: "http://127.0.0.1:1", PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	gone(t, openingPath(state, "store"))
	if _, err := os.Stat(openingPath(state, "other")); err != nil {
		t.Error(err)
	}
	check(t, published.Withdraw())
}
