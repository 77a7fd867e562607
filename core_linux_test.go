package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	switch os.Getenv("MAILCOTE_TEST_MAIN") {
	case "":
	case "dumpable":
		noCore()
		n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		fmt.Println(n, err)
		os.Exit(0)
	default:
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
	c = exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "MAILCOTE_TEST_MAIN=dumpable")
	if said, err := c.Output(); err != nil || string(said) != "0 <nil>\n" {
		t.Errorf("dumpable: %q, %v, want 0", said, err)
	}
}
