package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"mailcote/testkit/child"
)

type options struct {
	minutes  float64
	messages int
	seed     uint64
	mailcote string
}

func main() {
	var o options
	flag.Float64Var(&o.minutes, "minutes", 10, "how long the trouble lasts")
	flag.IntVar(&o.messages, "messages", 500, "messages on the server at the start, and about as many at any time")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of everything random")
	flag.StringVar(&o.mailcote, "mailcote", "", "program to torment; built from this source when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// run makes the machine, breaks it for a while and judges the result.
func run(ctx context.Context, out io.Writer, o options) (err error) {
	if o.minutes <= 0 || o.messages < 10 {
		return errors.New("minutes must be positive, and messages at least 10")
	}
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // Dovecot's processes belong to another user when we are root
		return err
	}
	program, err := child.Build(ctx, dir, o.mailcote)
	if err != nil {
		return err
	}
	m, err := newMachine(dir, program, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	fmt.Fprintf(out, "seed %d, %d messages, %v of trouble, disk: %s\n", o.seed, o.messages, o.lasting(), m.disk)
	if err := m.storm(ctx, o.lasting()); err != nil {
		return err
	}
	verdict, err := m.judge(ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(out, verdict, verdict.said())
	return verdict.err()
}

func (o options) lasting() time.Duration { return time.Duration(o.minutes * float64(time.Minute)) }
