package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

type options struct {
	messages, bytes, mailboxes, rounds int
	attachments                        float64
	rtts                               []time.Duration // round trips; each is measured by itself
	settle                             time.Duration
	seed                               uint64
	mailcote, against, mbsync, profile string
}

func main() {
	var o options
	flag.IntVar(&o.messages, "messages", 2000, "messages on the server")
	flag.IntVar(&o.bytes, "bytes", 20000, "average size of a message")
	flag.Float64Var(&o.attachments, "attachments", 0.2, "share of messages with attachments; negative for none")
	flag.IntVar(&o.mailboxes, "mailboxes", 8, "mailboxes they lie in")
	o.rtts = []time.Duration{0, 50 * time.Millisecond}
	flag.Func("rtt", "round trips added to the connection, measured one after the other (default 0,50ms)",
		func(list string) (err error) {
			o.rtts, err = parseRTTs(list)
			return err
		})
	flag.DurationVar(&o.settle, "settle", 2500*time.Millisecond, "wait between the first and the second sync")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the figures are medians")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the messages")
	flag.StringVar(&o.mailcote, "mailcote", "",
		"program to measure; built from this source when empty, left out when \"none\"")
	flag.StringVar(&o.against, "against", "", "an earlier program to measure in turn with it")
	flag.StringVar(&o.mbsync, "mbsync", "mbsync", "mbsync's program; left out when \"none\"")
	flag.StringVar(&o.profile, "profile", "",
		"only profile the CPU in one first sync of the program of this source, into this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseRTTs(list string) (all []time.Duration, err error) {
	for one := range strings.SplitSeq(list, ",") {
		rtt, err := time.ParseDuration(one)
		if err != nil {
			return nil, err
		}
		if rtt < 0 {
			return nil, fmt.Errorf("a round trip of %v ends before it begins", rtt)
		}
		all = append(all, rtt)
	}
	return all, nil
}

func run(ctx context.Context, out io.Writer, o options) error {
	if o.messages < 1 || o.mailboxes < 1 || o.rounds < 1 || o.bytes < 1 || len(o.rtts) < 1 {
		return errors.New("messages, bytes, mailboxes and rounds start at 1, and -rtt names a round trip")
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := newBench(dir, o)
	if err != nil {
		return err
	}
	defer b.server.Close()
	if _, err := b.drain(ctx, 0); err != nil { // warms the server
		return fmt.Errorf("drain: %w", err)
	}
	if o.profile != "" {
		return b.profile(ctx, out, o.profile)
	}
	tools, err := b.tools(ctx)
	if err != nil {
		return err
	}
	for _, rtt := range o.rtts {
		columns, err := b.compare(ctx, tools, rtt)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d messages, %s in %d mailboxes, %v round trip, %d rounds, %s\n", o.messages,
			size(float64(b.raw)), o.mailboxes, rtt, o.rounds, processors())
		if err := report(out, columns, b.raw, o.messages); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	return nil
}

func processors() string {
	if n := runtime.NumCPU(); n > 1 {
		return fmt.Sprintf("%d processors", n)
	}
	return "1 processor"
}

// compare measures the programs in turn, and the drain last.
func (b *bench) compare(ctx context.Context, tools []tool, rtt time.Duration) ([]column, error) {
	columns := make([]column, len(tools)+1)
	for round := range b.options.rounds {
		for i, t := range tools {
			r, err := b.measure(ctx, t, rtt)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", t.name, round+1, err)
			}
			columns[i].name = t.name
			columns[i].results = append(columns[i].results, r)
		}
		floor, err := b.drain(ctx, rtt)
		if err != nil {
			return nil, fmt.Errorf("drain: %w", err)
		}
		last := &columns[len(tools)]
		last.name, last.results = "drain", append(last.results, floor)
	}
	return columns, nil
}

// bench is the server with its mail.
type bench struct {
	options options
	dir     string
	server  *dovecot.Server
	raw     int64 // bytes of all messages
}

func newBench(dir string, o options) (*bench, error) {
	// Mail and sockets below belong to other users when we are root.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "s")
	if err := os.Mkdir(home, 0o755); err != nil {
		return nil, err
	}
	server, err := dovecot.New(home, dovecot.Config{})
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, server: server}
	shape := corpus.Options{AvgSize: o.bytes, AttachmentShare: o.attachments}
	b.raw, err = corpus.Fill(o.seed, o.messages, o.mailboxes, shape, func(mailbox string, m corpus.Message) error {
		return server.Put(dovecot.User, mailbox, m.Raw, dovecot.Options{Flags: m.Flags, Date: m.Date})
	})
	if err != nil {
		server.Close()
		return nil, err
	}
	return b, nil
}
