package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Serve starts a server and waits until it greets with a line that has token in
// it, so that another one on the port is not taken for it.
func Serve(argv, env []string, addr, token string) (*Proc, error) {
	p, err := New(argv, env)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !greets(ctx, addr, token) {
		select {
		case <-p.Done():
			return nil, fmt.Errorf("it ended at once: %s", p.Stderr())
		case <-ctx.Done():
			p.Kill()
			return nil, fmt.Errorf("no greeting: %w", ctx.Err())
		case <-poll.C:
		}
	}
	return p, nil
}

func greets(ctx context.Context, addr, token string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // a failure shows in the read
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.Contains(line, token)
}

// Stop asks the program to end and kills it when it has not after a while.
func (p *Proc) Stop(after time.Duration) {
	_ = p.Signal(syscall.SIGTERM) // it may have ended already
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-p.Done():
	case <-timer.C:
		p.Kill()
	}
}

// Build gives the path of mailcote: program, or if that is "" one that it
// builds in dir, with flags for go build.
func Build(ctx context.Context, dir, program string, flags ...string) (string, error) {
	if program != "" {
		return program, nil
	}
	built := filepath.Join(dir, "mailcote")
	command := exec.CommandContext(ctx, "go", append([]string{"build", "-o", built}, append(flags, "mailcote")...)...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build mailcote: %w", err), errors.New(string(said)))
	}
	return built, nil
}
