package terminal

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailcote/testkit/signal"
)

// Terminal is a program that runs in a terminal.
type Terminal struct {
	t      testing.TB
	cmd    *exec.Cmd
	master *os.File
	read   sync.WaitGroup
	over   sync.Once

	drawn  signal.Signal
	mu     sync.Mutex
	screen *Screen
	ended  bool
}

// Start runs argv with env added to this process's environment, with a
// terminal of a size as its input and its outputs. It is killed when the test
// ends.
func Start(t testing.TB, columns, rows int, argv, env []string) *Terminal {
	t.Helper()
	master, tty, err := open(columns, rows)
	if err != nil {
		t.Fatal(err)
	}
	one := &Terminal{t: t, cmd: exec.Command(argv[0], argv[1:]...), master: master, screen: NewScreen(columns)}
	one.cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "NO_COLOR="), env...)
	one.cmd.Stdin, one.cmd.Stdout, one.cmd.Stderr = tty, tty, tty
	one.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = one.cmd.Start()
	if err := errors.Join(err, tty.Close()); err != nil {
		t.Fatal(errors.Join(err, master.Close()))
	}
	one.read.Go(one.draw)
	t.Cleanup(func() {
		one.kill()
		one.Wait()
	})
	return one
}

// open makes a pseudo-terminal.
func open(columns, rows int) (master, tty *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	fd := int(master.Fd())
	size := &unix.Winsize{Row: uint16(rows), Col: uint16(columns)}
	err = errors.Join(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size))
	number, numbered := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err = errors.Join(err, numbered); err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("pseudo-terminal: %w", errors.Join(err, master.Close()))
	}
	return master, tty, nil
}

// draw shows what is printed, until no process has the terminal any more.
func (o *Terminal) draw() {
	part := make([]byte, 4096)
	for {
		n, err := o.master.Read(part)
		o.mu.Lock()
		if n > 0 {
			o.screen.Write(part[:n]) //nolint:errcheck // it never fails
		}
		o.ended = err != nil
		o.mu.Unlock()
		o.drawn.Send()
		if err != nil {
			return
		}
	}
}

// Type sends keys; Ctrl-C is "\x03".
func (o *Terminal) Type(keys string) {
	o.t.Helper()
	if _, err := o.master.WriteString(keys); err != nil {
		o.t.Fatal(err)
	}
}

// Await waits until a picture is right, and gives it.
func (o *Terminal) Await(right func(picture string) bool) string {
	o.t.Helper()
	late := time.After(time.Minute)
	for {
		next := o.drawn.Next()
		o.mu.Lock()
		picture, ended := o.screen.String(), o.ended
		o.mu.Unlock()
		if right(picture) {
			return picture
		}
		if ended {
			o.t.Fatalf("the program ended with this on the screen:\n%s", picture)
		}
		select {
		case <-next:
		case <-late:
			o.t.Fatalf("the screen never came to be right:\n%s", picture)
		}
	}
}

// kill ends the program and what it started: they are one group. It may have
// ended.
func (o *Terminal) kill() { _ = syscall.Kill(-o.cmd.Process.Pid, syscall.SIGKILL) }

// Wait waits for the end of the program and gives its exit status and the
// screen.
func (o *Terminal) Wait() (int, *Screen) {
	o.over.Do(func() {
		late := time.AfterFunc(2*time.Minute, o.kill)
		o.read.Wait()
		late.Stop()
		o.cmd.Wait()     //nolint:errcheck // its status is asked for
		o.master.Close() //nolint:errcheck // it was read to the end
	})
	return o.cmd.ProcessState.ExitCode(), o.screen
}
