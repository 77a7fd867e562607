package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is its own child.
func TestMain(m *testing.M) {
	switch os.Getenv("MAILCOTE_CHILD") {
	case "":
		goleak.VerifyTestMain(m)
	case "exit":
		fmt.Println("one")
		fmt.Fprintln(os.Stderr, "two")
		os.Exit(3)
	case "hang":
		ballast := make([]byte, 64<<20)
		for i := 0; i < len(ballast); i += os.Getpagesize() {
			ballast[i] = 1
		}
		fmt.Println("ready", len(ballast))
		time.Sleep(time.Hour)
	case "busy": // one of its group works and is gone
		worker := exec.Command(os.Args[0])
		worker.Env = append(os.Environ(), "MAILCOTE_CHILD=work")
		if err := worker.Run(); err != nil {
			os.Exit(1)
		}
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "work":
		for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
		}
	case "parent":
		grandchild, err := New([]string{os.Args[0]}, []string{"MAILCOTE_CHILD=hang"})
		if err != nil {
			os.Exit(1)
		}
		if _, err := grandchild.WaitLine(context.Background(), isReady); err != nil {
			os.Exit(1)
		}
		fmt.Println("pid", grandchild.Pid())
		time.Sleep(time.Hour)
	}
}

func isReady(line string) bool { return strings.HasPrefix(line, "ready") }

func self(t *testing.T, mode string) *Proc {
	return Start(t, []string{os.Args[0]}, []string{"MAILCOTE_CHILD=" + mode})
}

func TestExit(t *testing.T) {
	p := self(t, "exit")
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || p.ExitCode() != 3 {
		t.Fatalf("Wait = %v, code %d; want status 3", err, p.ExitCode())
	}
	if p.Stdout() != "one\n" || p.Stderr() != "two\n" {
		t.Fatalf("stdout %q, stderr %q", p.Stdout(), p.Stderr())
	}
	if _, err := p.WaitLine(t.Context(), func(s string) bool { return s == "never" }); !errors.Is(err, ErrEnded) {
		t.Fatalf("WaitLine = %v, want ErrEnded", err)
	}
	if wall, _ := p.Usage(); wall <= 0 {
		t.Fatalf("wall time %v", wall)
	}
	p.Kill() // harmless
}

func TestKill(t *testing.T) {
	p := self(t, "hang")
	if _, err := p.WaitLine(t.Context(), isReady); err != nil {
		t.Fatal(err)
	}
	if !p.KillWithin(rand.New(rand.NewPCG(1, 2)), 100*time.Millisecond) {
		t.Fatal("KillWithin says the program ended by itself")
	}
	if p.ExitCode() != -1 {
		t.Fatalf("exit code %d after SIGKILL", p.ExitCode())
	}
	if runtime.GOOS == "linux" && p.MaxRSS() < 64<<20 {
		t.Fatalf("MaxRSS %d, want at least the 64 MiB held", p.MaxRSS())
	}
}

// What a member of the group took counts when it is gone, too.
func TestGroupCPU(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	p := self(t, "busy")
	if _, err := p.WaitLine(t.Context(), isReady); err != nil {
		t.Fatal(err)
	}
	// a busy machine leaves it less than its 300 ms
	if got := p.GroupCPU(); got < 50*time.Millisecond || got > 10*time.Second {
		t.Errorf("the group took %v", got)
	}
}

// A child must not outlive a parent that was killed: a timed-out test run would leave servers behind.
func TestDiesWithParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a parent-death signal")
	}
	p := self(t, "parent")
	line, err := p.WaitLine(t.Context(), func(s string) bool { return strings.HasPrefix(s, "pid ") })
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(line, "pid %d", &pid); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	for deadline := time.Now().Add(10 * time.Second); alive(pid); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlived its parent", pid)
		}
	}
}

// alive reads the state letter of /proc/PID/stat: a zombie nobody has reaped yet counts as dead.
func alive(pid int) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	_, state, _ := strings.Cut(line, ") ")
	return state != "" && state[0] != 'Z'
}
