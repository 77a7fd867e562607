package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
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
	c.Env = append(os.Environ(), "MAILCOTE_STORE="+filepath.Join(h.dir, "t.db"), "XDG_STATE_HOME="+filepath.Join(h.dir, "state"),
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

// search looks for the password, plain and as AUTHENTICATE PLAIN writes it, in every file and every word.
func (h *home) search(user string) {
	h.t.Helper()
	forms := []string{h.canary, base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + h.canary))}
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
		look(path, text)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if files < 3 {
		h.t.Errorf("only %d files were searched: the crash should have left the store and its log", files)
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
			h.crash(func(out *bufio.Reader) error { _, err := out.ReadString('\n'); return err }, syscall.SIGQUIT, "-v", "run", "--port", "0", "--json")
			h.search(u.User.Username())
		})
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
		h.search(user)
	}
}

// stall greets, waits for a sign-in, and says nothing more until the other side is gone.
func stall(c net.Conn, asked chan<- struct{}) {
	defer c.Close()                                                           //nolint:errcheck // it is over
	fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n") //nolint:errcheck // the reads below fail too
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "AUTHENTICATE") || strings.Contains(lines.Text(), "LOGIN") {
			asked <- struct{}{}
		}
	}
}
