// Command mailcote keeps a complete, searchable copy of IMAP accounts in one SQLite file.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"mailcote/ui/cli"
)

func main() { os.Exit(run()) }

func run() int {
	noCore()
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup stays in force
		signals = append(signals, syscall.SIGHUP)
	}
	return cli.Main(signals, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
