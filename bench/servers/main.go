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
	"slices"
	"strings"
	"syscall"
	"time"

	"mailcote/testkit/child"
)

type options struct {
	servers  string
	rounds   int
	kills    int
	seed     uint64
	mailcote string
	extra    string
	verbose  bool
}

func main() {
	var o options
	flag.StringVar(&o.servers, "server", "all", "servers, separated by commas: "+strings.Join(names(), ", "))
	flag.IntVar(&o.rounds, "rounds", 30, "rounds of random changes")
	flag.IntVar(&o.kills, "kills", 10, "rounds in which the program is killed")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the changes")
	flag.StringVar(&o.mailcote, "mailcote", "", "program to run; built from this source when empty")
	flag.StringVar(&o.extra, "extra", "", "directory with maddy, demo (gluon) and node_modules/hoodiecrow-imap")
	flag.BoolVar(&o.verbose, "v", false, "print each change and what the server refuses")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, o options) error {
	dir, err := os.MkdirTemp("", "servers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // servers give up root's rights
		return err
	}
	program, err := child.Build(ctx, dir, o.mailcote)
	if err != nil {
		return err
	}
	chosen := strings.Split(o.servers, ",")
	if o.servers == "all" {
		chosen = names()
	}
	var failed error
	for _, name := range chosen {
		at := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if at < 0 {
			return fmt.Errorf("no server is called %q", name)
		}
		one := filepath.Join(dir, fmt.Sprint(at))
		if err := os.Mkdir(one, 0o755); err != nil {
			return err
		}
		fmt.Fprintf(out, "== %s, seed %d\n", name, o.seed)
		if err := trial(ctx, out, one, program, kinds[at], o); err != nil {
			fmt.Fprintf(out, "%s: FAILED: %v\n", name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return failed
}

func names() (all []string) {
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}
