package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailcote/ui/demo"
)

// home is a person's machine: a store, a password file elsewhere, and everything the program said.
type home struct {
	t      *testing.T
	dir    string // store, state
	pw     string // the password file, outside dir
	canary string
	said   bytes.Buffer // stdout, stderr and argv of every program
}

func newHome(t *testing.T, canary string) *home {
	h := &home{t: t, dir: t.TempDir(), pw: filepath.Join(t.TempDir(), "pw"), canary: canary}
	if err := os.WriteFile(h.pw, []byte(canary+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *home) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	h.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, "mailcote", args...)
	c.Dir = h.dir
	c.Env = append(os.Environ(), "MAILCOTE_STORE="+filepath.Join(h.dir, "t.db"),
		"XDG_STATE_HOME="+filepath.Join(h.dir, "state"),
		"TMPDIR="+h.dir, "GOTRACEBACK=system")
	return c
}

// run runs the program to its end and wants success.
func (h *home) run(args ...string) {
	h.t.Helper()
	out, err := h.command(args...).CombinedOutput()
	h.said.Write(out)
	if err != nil {
		h.t.Fatalf("mailcote %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// crash starts the program, waits until ready says that it is busy, and makes it dump every goroutine.
func (h *home) crash(ready func(stdout *bufio.Reader) error, signal syscall.Signal, args ...string) {
	h.t.Helper()
	c := h.command(args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	stdout, err := c.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	if err := ready(bufio.NewReader(stdout)); err != nil {
		_ = c.Process.Kill() // the test fails anyway
		h.t.Fatal(err)
	}
	if argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Process.Pid)); err == nil {
		h.said.Write(argv)
	}
	if err := c.Process.Signal(signal); err != nil {
		h.t.Fatal(err)
	}
	_ = c.Wait() // it died of the signal
	if !strings.Contains(stderr.String(), "goroutine ") {
		h.t.Fatalf("no crash text after %v:\n%s", signal, stderr.String())
	}
	h.said.Write(stderr.Bytes())
}

// dies starts the program, waits until ready says that it is busy, and kills it.
func (h *home) dies(ready func(stdout *bufio.Reader) error, args ...string) {
	h.t.Helper()
	c := h.command(args...)
	c.Stderr = &h.said
	stdout, err := c.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		h.t.Fatal(err)
	}
	failed := ready(bufio.NewReader(stdout))
	_ = c.Process.Kill() // Wait says the rest
	_ = c.Wait()
	if failed != nil {
		h.t.Fatal(failed)
	}
}

// search looks for the password, plain, as a URL and as AUTHENTICATE PLAIN write it, in every file but one, and
// in every word.
func (h *home) search(user string, least int) {
	h.t.Helper()
	forms := []string{h.canary, url.QueryEscape(h.canary), base64.StdEncoding.EncodeToString([]byte("\x00" + user +
		"\x00" + h.canary))}
	look := func(where string, text []byte) {
		for _, form := range forms {
			if bytes.Contains(text, []byte(form)) {
				h.t.Errorf("the password is in %s", where)
			}
		}
	}
	look("what the program said", h.said.Bytes())
	files := 0
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		files++
		if strings.HasSuffix(path, ".secrets") { // where a person let it be remembered
			if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
				h.t.Errorf("%s: %v, mode %v", path, err, info.Mode())
			}
			return err
		}
		look(path, text)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if files < least {
		h.t.Errorf("only %d files were searched, want at least %d", files, least)
	}
}

// TestSecret gives a password by file and by command, syncs, tests, runs and crashes, and finds it nowhere.
func TestSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals that dump goroutines are Unix's")
	}
	server, err := demo.Start(t.Context(), demo.Options{Seed: 11, Messages: 40})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // the scripts test it
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	canary, _ := u.User.Password()
	bare := fmt.Sprintf("imap://%s@%s", u.User.Username(), u.Host)
	for name, source := range map[string]func(h *home) []string{
		"file":    func(h *home) []string { return []string{"--password-file", h.pw} },
		"command": func(h *home) []string { return []string{"--password-command", "cat " + h.pw} },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, canary)
			h.run(append([]string{"-v", "account", "add", bare}, source(h)...)...)
			h.run("-v", "sync", "--json")
			h.run("-v", "account", "test", "demo@127.0.0.1")
			h.run("account", "show", "demo@127.0.0.1", "--json")
			h.run("errors", "--json")
			h.crash(func(out *bufio.Reader) error {
				_, err := out.ReadString('\n')
				return err
			}, syscall.SIGQUIT, "-v", "run", "--port", "0", "--json")
			h.search(u.User.Username(), 3)
		})
	}
}

// TestSecretInURL gives the password in a URL, which one sync uses and account add remembers, kills and crashes
// the program, and finds it in the file of remembered passwords and nowhere else; not in the copy of a damaged
// store either.
func TestSecretInURL(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals that dump goroutines are Unix's")
	}
	server, err := demo.Start(t.Context(), demo.Options{Seed: 12, Messages: 40})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // the scripts test it
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	canary, _ := u.User.Password()
	line := func(out *bufio.Reader) error { _, err := out.ReadString('\n'); return err }
	run := []string{"-v", "run", "--port", "0", "--json"}
	once := newHome(t, canary)
	once.run("-v", "sync", u.String(), "--once", "--json")
	once.search(u.User.Username(), 2)
	if _, err := os.Stat(filepath.Join(once.dir, "t.db.secrets")); err == nil {
		t.Error("--once remembered the password")
	}
	h := newHome(t, canary)
	h.run("-v", "account", "add", u.String())
	for range 3 {
		h.dies(line, run...)
	}
	h.crash(line, syscall.SIGABRT, run...)
	h.run("check")
	h.damage()
	h.run("-v", "sync", "--json")
	copies, err := filepath.Glob(filepath.Join(h.dir, "t.db.corrupt-*"))
	if err != nil || len(copies) == 0 {
		t.Errorf("no copy of the damaged store: %v", err)
	}
	h.search(u.User.Username(), 4)
}

// damage makes the store's first page none.
func (h *home) damage() {
	h.t.Helper()
	f, err := os.OpenFile(filepath.Join(h.dir, "t.db"), os.O_WRONLY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	_, writing := f.WriteAt([]byte("q"), 2)
	if err := errors.Join(writing, f.Close()); err != nil {
		h.t.Fatal(err)
	}
}

// TestSecretInSignIn crashes the program while the server thinks about the password.
func TestSecretInSignIn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("signals that dump goroutines are Unix's")
	}
	const user, canary = "someone", "canary-Kx81-between-the-lines"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 8)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stall(c, asked)
		}
	}()
	defer func() { l.Close(); <-served }() //nolint:errcheck // it was only read
	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		h := newHome(t, canary)
		h.run("account", "add", fmt.Sprintf("imap://%s@%s", user, l.Addr()), "--password-file", h.pw, "--no-test")
		h.crash(func(*bufio.Reader) error {
			select {
			case <-asked:
				return nil
			case <-time.After(20 * time.Second):
				return fmt.Errorf("the program never signed in")
			}
		}, signal, "-v", "sync")
		h.search(user, 3)
	}
}

// stall greets, waits for a sign-in, and says nothing more until the other side is gone.
func stall(c net.Conn, asked chan<- struct{}) {
	defer c.Close() //nolint:errcheck // it is over
	fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] "+
		"ready\r\n") //nolint:errcheck // the reads below fail too
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "AUTHENTICATE") || strings.Contains(lines.Text(), "LOGIN") {
			asked <- struct{}{}
		}
	}
}
