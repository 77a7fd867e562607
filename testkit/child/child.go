package child

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Proc is one started program.
type Proc struct {
	cmd    *exec.Cmd
	out    *lines
	errs   *lines
	done   chan struct{} // closed when the program has been reaped and its output read
	err    error         // of cmd.Wait; read after done
	rssMu  sync.Mutex
	rss    int64 // peak so far, bytes
	began  time.Time
	lasted time.Duration // read after done
}

// New starts argv with env added to this process's environment. Its standard
// input is empty. The caller must call Wait or Kill.
func New(argv, env []string) (*Proc, error) {
	if len(argv) == 0 {
		return nil, errors.New("child: no program named")
	}
	p := &Proc{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = ownGroup()
	out, err := pipe(&p.out)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	errs, err := pipe(&p.errs)
	if err != nil {
		out.Close()
		p.out.finish()
		return nil, fmt.Errorf("child: %w", err)
	}
	p.cmd.Stdout, p.cmd.Stderr = out, errs
	started := make(chan error, 1)
	go p.run(started)
	err = <-started
	out.Close()
	errs.Close()
	if err != nil {
		p.out.finish()
		p.errs.finish()
		return nil, fmt.Errorf("child: start %s: %w", argv[0], err)
	}
	return p, nil
}

// Start is New for tests: a failure is fatal, and the program is killed when the test ends.
func Start(t testing.TB, argv, env []string) *Proc {
	t.Helper()
	p, err := New(argv, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func (p *Proc) run(started chan<- error) {
	// The parent-death signal is sent when the thread that started the child
	// ends, so this goroutine keeps it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p.began = time.Now()
	err := p.cmd.Start()
	if err != nil {
		started <- err
		return
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go p.sample(stop, stopped)
	started <- nil
	p.err = p.cmd.Wait()
	p.lasted = time.Since(p.began)
	close(stop)
	<-stopped
	killGroup(p.cmd.Process) // what the program left behind
	p.out.finish()
	p.errs.finish()
	close(p.done)
}

// sample follows the peak memory until stop. VmHWM only grows, so at most the
// last interval is missed.
func (p *Proc) sample(stop <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		p.measure()
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

func (p *Proc) measure() {
	p.rssMu.Lock()
	defer p.rssMu.Unlock()
	p.rss = max(p.rss, peakRSS(p.cmd.Process.Pid))
}

// Pid is the process id, which is also the id of its group.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Wait returns when the program has ended: nil for exit status 0, an *exec.ExitError otherwise.
func (p *Proc) Wait() error {
	<-p.done
	return p.err
}

// ExitCode waits and gives the exit status; -1 when a signal ended the program.
func (p *Proc) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the whole group with SIGKILL and waits for the program. It may have
// ended.
func (p *Proc) Kill() {
	select {
	case <-p.done:
		return
	default:
	}
	p.measure()
	killGroup(p.cmd.Process)
	<-p.done
}

// Signal sends one signal to the program only.
func (p *Proc) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// KillWithin kills the program at a moment drawn evenly from [0, limit),
// counted from the call. It reports false when the program ended by itself
// before that.
func (p *Proc) KillWithin(r *rand.Rand, limit time.Duration) bool {
	timer := time.NewTimer(time.Duration(r.Int64N(int64(limit))))
	defer timer.Stop()
	select {
	case <-p.done:
		return false
	case <-timer.C:
	}
	p.Kill()
	return !p.exited()
}

// exited reports a program that ended by itself; called after done.
func (p *Proc) exited() bool { return p.cmd.ProcessState.Exited() }

// WaitLine returns the first line of standard output that match accepts. It
// looks at lines that were already written too.
func (p *Proc) WaitLine(ctx context.Context, match func(string) bool) (string, error) {
	line, err := p.out.wait(ctx, match)
	if err != nil {
		return "", fmt.Errorf("child: wait for a line of %s: %w", p.cmd.Path, err)
	}
	return line, nil
}

// WaitErrorLine is WaitLine for standard error.
func (p *Proc) WaitErrorLine(ctx context.Context, match func(string) bool) (string, error) {
	line, err := p.errs.wait(ctx, match)
	if err != nil {
		return "", fmt.Errorf("child: wait for an error line of %s: %w", p.cmd.Path, err)
	}
	return line, nil
}

// Stdout is what the program has written to standard output so far.
func (p *Proc) Stdout() string { return p.out.String() }

// Stderr is what the program has written to standard error so far.
func (p *Proc) Stderr() string { return p.errs.String() }

// MaxRSS is the highest resident size seen so far, in bytes; 0 where the system does not tell.
func (p *Proc) MaxRSS() int64 {
	p.rssMu.Lock()
	defer p.rssMu.Unlock()
	return p.rss
}

// Usage waits and gives wall time and processor time (user and system together).
func (p *Proc) Usage() (wall, cpu time.Duration) {
	<-p.done
	return p.lasted, p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// GroupCPU is the processor time that the program and all of its group took so
// far, also those that ended and were waited for; 0 where the system does not
// tell.
func (p *Proc) GroupCPU() time.Duration { return groupCPU(p.cmd.Process.Pid) }
