package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("MAILCOTE_TEST_MAIN") != "" {
		os.Exit(run())
	}
	goleak.VerifyTestMain(m)
}

// TestNoCore: the running program would leave no core file, however it dies.
func TestNoCore(t *testing.T) {
	c := exec.CommandContext(t.Context(), os.Args[0], "demo", "--no-open")
	c.Env = append(os.Environ(), "MAILCOTE_TEST_MAIN=1", "TMPDIR="+t.TempDir())
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = 20 * time.Second
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || !strings.Contains(line, "/login?once=") {
		t.Errorf("%q, %v, want a link", line, err)
	}
	limits, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(c.Process.Pid), "limits"))
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 ") {
		t.Errorf("%v, limits:\n%s", err, limits)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
}
