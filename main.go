// Command mailcote keeps a complete, searchable copy of IMAP accounts in one SQLite file.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mailcote/ui/cli"
)

func main() { os.Exit(run()) }

// run ends its context at the first signal and then stops listening, so that the second one kills the process.
func run() int {
	noCore()
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup stays in force
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
