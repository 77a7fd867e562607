//go:build unix

package cli_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/proxy"
	"mailcote/testkit/watch"
)

// TestInterruptTwice presses Ctrl-C while another program keeps the store from being written, so that the commit
// at the end has to wait, and again while it does: the second one ends at once, and nothing is lost.
func TestInterruptTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	line := r.through()
	r.fill(41, 600, 4, corpus.Options{AvgSize: 4000})
	line.Set(proxy.Faults{Rate: 200_000})
	p := r.start("sync", r.url(), "--once", "--json")
	r.awaits(100, someMail)
	free := hold(t, r.store)
	kept := r.number(someMail)
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	r.says(p, "Ctrl-C again ends at once")
	pressed := time.Now()
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	o := r.end(p)
	if took := time.Since(pressed); o.code != -1 || took > time.Second {
		t.Errorf("status %d %v after the second Ctrl-C", o.code, took)
	}
	free()
	line.Set(proxy.Faults{})
	r.sound()
	if n := r.number(someMail); n < kept || n == 600 {
		t.Errorf("%d messages are kept, %d were there before, 600 in all", n, kept)
	}
	r.sync()
	r.whole(r.truth())
}

// hold takes SQLite's write lock on a store until free is called.
func hold(t *testing.T, store string) (free func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+store+"?_txlock=immediate&_pragma=busy_timeout(20000)")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestInterruptSilent presses Ctrl-C once while the server is silent: the end is clean, and soon.
func TestInterruptSilent(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	line := r.through()
	r.fill(42, 400, 4, corpus.Options{AvgSize: 4000})
	line.Set(proxy.Faults{Rate: 200_000})
	p := r.start("sync", r.url(), "--once", "--json")
	r.awaits(100, someMail)
	line.Set(proxy.Faults{BlackHole: true})
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	pressed := time.Now()
	o := r.end(p)
	if took := time.Since(pressed); o.code != 3 || took > stopLimit {
		t.Errorf("status %d %v after Ctrl-C: %s", o.code, took, o.errs)
	}
	line.Set(proxy.Faults{})
	if n := r.number(`SELECT count(*) AS n FROM sync_tasks WHERE status = 'processing'`); n != 0 {
		t.Errorf("%d tasks are still being processed", n)
	}
	r.sync()
	r.whole(r.truth())
}

// TestStdoutUnread presses Ctrl-C while nobody reads stdout: the program ends all the same, though it cannot say in
// JSON that it left something.
func TestStdoutUnread(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()  //nolint:errcheck // nothing is lost
	defer write.Close() //nolint:errcheck // nothing is lost
	fill(t, write)
	dir := t.TempDir()
	changed := watch.Files(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "mailcote", "man", dir, "--json")
	c.Stdout = write
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	watch.Until(t, changed, "the last page", func() bool { // what it prints is next
		_, err := os.Stat(filepath.Join(dir, "mailcote-version.1"))
		return err == nil
	})
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); ctx.Err() != nil || c.ProcessState.ExitCode() != 75 {
		t.Errorf("status %d, %v, %v", c.ProcessState.ExitCode(), err, ctx.Err())
	}
}

// fill writes to a pipe until it takes no more. A deadline cannot do that: where the machine is busy it is over before
// the first byte is written.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	raw, err := pipe.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var full error
	err = raw.Write(func(fd uintptr) bool {
		for full == nil {
			_, full = syscall.Write(int(fd), make([]byte, 4096))
		}
		return true
	})
	if err != nil || !errors.Is(full, syscall.EAGAIN) {
		t.Fatalf("the pipe is not full: %v, %v", full, err)
	}
}

// says waits until the program has written something to stderr.
func (r *rig) says(p *child.Proc, what string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := p.WaitErrorLine(ctx, func(line string) bool { return strings.Contains(line, what) }); err != nil {
		r.t.Fatalf("the program never said %q: %v: %s", what, err, p.Stderr())
	}
}

// TestKillRun kills the agent: the store is free at once, and nothing believes that it still runs.
func TestKillRun(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(43, 100, 4, corpus.Options{AvgSize: 4000})
	r.exits(0, "account", "add", r.url())
	p := r.start("run", "--port", "0", "--json")
	r.ready(p)
	r.awaits(100, someMail)
	if o := r.exits(0, "status", "--json"); !strings.Contains(o.out, `"owner":"mailcote run"`) ||
		!strings.Contains(o.out, `"url":"http://127.0.0.1:`) {
		t.Errorf("beside it: %s", o.out)
	}
	for began := time.Now(); ; { // an agent that is slow to answer is left out
		o := r.exits(0, "status", "--json")
		if strings.Contains(o.out, `"connections":{"type":"connections","open":`) &&
			strings.Contains(o.out, `"dialled":1`) {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the agent's connections are not shown: %s", o.out)
		}
	}
	r.exits(75, "sync")
	r.exits(0, "check")
	p.Kill()
	for _, file := range []string{r.store + ".owner", r.store + ".lock"} {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("the test is about what a dead owner leaves: %v", err)
		}
	}
	if o := r.exits(0, "status", "--json"); !strings.Contains(o.out, `"url":null,"pid":null,"owner":null,`) ||
		strings.Contains(o.out, `"state":"syncing"`) {
		t.Errorf("after it: %s", o.out)
	}
	r.exits(1, "token", "--link")
	r.sound()
	r.server.Deliver(t, dovecot.User, "INBOX", []byte("Subject: later\r\n\r\nhello\r\n"), dovecot.Options{})
	r.exits(0, "sync")
	r.whole(r.truth())
	// The next agent is its own, and its page answers.
	r.runs(func() {
		if o := r.exits(0, "status", "--json"); !strings.Contains(o.out, `"owner":"mailcote run"`) {
			t.Errorf("the next agent: %s", o.out)
		}
	})
	left, err := filepath.Glob(filepath.Join(r.dir, "state", "mailcote", "agent-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("agents' files are left: %v, %v", left, err)
	}
}

// TestStopped stops the whole program in the middle of a sync, as a closed lid does, and its connection may die
// meanwhile: readers go on beside it, the store stays taken, and the sync completes when it wakes, with every
// message there once. The default form stops it for seconds and resets the connection; the full one for longer
// than a command may take and the clock's watch bears, and the connection goes dead without a word.
func TestStopped(t *testing.T) {
	t.Parallel()
	for _, dies := range []bool{false, true} {
		t.Run(map[bool]string{false: "line lives", true: "line dies"}[dies], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, dovecot.Config{})
			line := r.through()
			r.fill(44, 600, 4, corpus.Options{AvgSize: 4000})
			line.Set(proxy.Faults{Rate: 200_000})
			p := r.start("sync", r.url(), "--once", "--json")
			r.awaits(100, someMail)
			if err := p.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			stopped, asleep := time.Now(), 3*time.Second
			before := r.number(someMail)
			switch {
			case dies && form.Long():
				asleep = 75 * time.Second // it bears a minute, and looks every ten seconds
				line.LoseAll()
			case dies:
				line.CutAll()
			}
			for time.Since(stopped) < asleep {
				if n := r.number(someMail); n < before {
					t.Fatalf("%d messages, %d before", n, before)
				}
				r.sound()
				r.refuses(75, []string{"sync", r.url(), "--once"}, []string{"is in use by process"})
			}
			if err := p.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			line.Set(proxy.Faults{})
			woke := time.Now()
			o := r.end(p)
			took := time.Since(woke)
			t.Logf("complete %v after it woke, %d connections", took.Round(time.Millisecond), line.Stats().Connections)
			if took > time.Minute {
				t.Errorf("it went on %v after it woke", took)
			}
			if o.code != 0 || before == 600 {
				t.Errorf("status %d, %d of 600 messages when it stopped: %s%s", o.code, before, o.out, o.errs)
			}
			if dies && line.Stats().Connections < 2 {
				t.Error("the connection did not die")
			}
			r.whole(r.truth())
		})
	}
}
