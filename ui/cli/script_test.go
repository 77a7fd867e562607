package cli_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite" // makes the store of an older program

	"mailcote/testkit/form"
	"mailcote/testkit/watch"
	"mailcote/ui/cli"
	"mailcote/ui/demo"
)

// leakChecked runs the tests and then looks for goroutines they left.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"mailcote": program})
}

// program is main, for the test binary run as mailcote.
func program() {
	os.Exit(cli.Main([]os.Signal{os.Interrupt, syscall.SIGTERM}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// TestScripts runs testdata/script/*.txtar, each with a server of its own:
//
//	$URL       its account with the password, $BADURL with a wrong one, $PASSURL without
//	$PASSWORD  the password; $PORT its port
//	$DOWN      an account where nothing listens
func TestScripts(t *testing.T) {
	dir, some := filepath.Join("testdata", "script"), []string(nil)
	if form.Race { // the others run short commands one after another
		dir = ""
		for _, name := range []string{"demo", "run", "store", "sync", "watch"} {
			some = append(some, filepath.Join("testdata", "script", name+".txtar"))
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		Files:               some,
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(4 * time.Minute),
		Setup: func(env *testscript.Env) error {
			server, err := demo.Start(context.Background(), demo.Options{Seed: 7, Messages: 60})
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := server.Close(); err != nil {
					env.T().Log(err)
				}
			})
			return variables(env, server.URL())
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exitStatus, "waitfor": waitFor, "older": older,
		},
	})
}

func variables(env *testscript.Env, url string) error {
	scheme, rest, _ := strings.Cut(url, "://")
	login, host, _ := strings.Cut(rest, "@")
	user, password, ok := strings.Cut(login, ":")
	if !ok {
		return errors.New("the demo's URL has no password")
	}
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := down.Close(); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"URL": url, "PASSWORD": password, "BADURL": scheme + "://" + user + ":wrong@" + host,
		"PASSURL": scheme + "://" + user + "@" + host, "PORT": host[strings.LastIndex(host, ":")+1:],
		"DOWN": "imap://someone:secret@" + down.Addr().String(), "ACCOUNT": user + "@" + host,
		"XDG_STATE_HOME": filepath.Join(env.WorkDir, "state"), "XDG_DATA_HOME": filepath.Join(env.WorkDir, "data"),
		"MAILCOTE_STORE": filepath.Join(env.WorkDir, "t.db"), "TMPDIR": env.WorkDir,
	} {
		env.Setenv(name, value)
	}
	return nil
}

// exitStatus runs a program and wants an exit status: exits 75 mailcote sync.
func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARG…")
	}
	status := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if strconv.Itoa(status) != args[0] {
		ts.Fatalf("exit status %d, want %s", status, args[0])
	}
}

// older makes the store of an older program: older SCHEMA FILE.
func older(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: older SCHEMA FILE")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "schema", "000"+args[0]+".sql"))
	ts.Check(err)
	path := ts.MkAbs(args[1])
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=page_size(8192)&_pragma=auto_vacuum(2)")
	ts.Check(err)
	_, err = db.Exec(string(text))
	ts.Check(errors.Join(err, db.Close(), os.Chmod(path, 0o600)))
}

// waitFor runs a program, and again whenever a file was written, until its stdout matches: waitfor PATTERN
// PROGRAM ARG…
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitfor PATTERN PROGRAM ARG…")
	}
	want, err := regexp.Compile(args[0])
	ts.Check(err)
	written, err := watch.Open(ts.Getenv("WORK"))
	ts.Check(err)
	defer written.Close() //nolint:errcheck // nothing is lost
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for {
		_ = ts.Exec(args[1], args[2:]...) // it may fail until it matches
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-written.Changed():
		case <-late.C:
			ts.Fatalf("%s never printed %s", strings.Join(args[1:], " "), args[0])
		}
	}
}
