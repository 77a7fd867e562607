package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
	"mailcote/ui/demo"
)

const (
	demoSeed     = 1
	demoArrivals = 8 * time.Second
	demoEvery    = 3 * time.Second
)

func (a *app) demo() *cobra.Command {
	var noOpen bool
	c := &cobra.Command{
		Use: "demo", Short: "See it work with a sample mailbox; nothing is kept", Args: exactly(0, ""),
		Long: `Start a mail server inside this program with a sample mailbox, sync it into a
throw-away store and show the page. New mail keeps arriving. It needs no
network and is gone on Ctrl-C.`,
		Example: "  mailcote demo",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.runDemo(c.Context(), !noOpen)
		},
	}
	c.Flags().BoolVar(&noOpen, "no-open", false, "do not open the browser")
	return c
}

func (a *app) runDemo(ctx context.Context, open bool) (err error) {
	a.voice.Note("A sample mailbox of invented mail, on this machine only.")
	server, err := demo.Start(ctx, demo.Options{Seed: demoSeed, Arrivals: demoArrivals})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	login, err := engine.ParseURL(server.URL())
	if err != nil {
		return err
	}
	err = a.inTemporaryStore(ctx, "mailcote demo", func(st *storage.Store, e *engine.Engine) error {
		id, _, err := e.AddAccount(ctx, engine.NewAccount{Login: login, Name: "demo"})
		if err != nil {
			return err
		}
		return a.agent(ctx, st, e, agentOptions{open: open, every: demoEvery, first: func() error {
			return a.demoSynced(ctx, st, e, id)
		}})
	})
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		a.voice.Note("Gone, and nothing is kept. Your own mail:\n%s account add imaps://you@example.org", self())
		return nil
	}
	return err
}

// demoSynced fetches the sample mailbox and says what to try next.
func (a *app) demoSynced(ctx context.Context, st *storage.Store, e *engine.Engine, id storage.AccountID) error {
	for _, s := range a.syncNow(ctx, e, []storage.AccountID{id}, nil) {
		if s.Interrupted {
			return nil
		}
		if err := a.summary(s); err != nil {
			return err
		}
		if s.Result == engine.Failed {
			return &ended{statusOfSummary(s)}
		}
	}
	a.voice.Note("Try it in another terminal:\n%s search invoice --store %s", self(), voice.Line(st.Path()))
	return nil
}

// self is how to start this program in a shell.
func self() string {
	if path, err := os.Executable(); err == nil && strings.Contains(path, string(os.PathSeparator)+"go-build") {
		return "go run ."
	}
	return "mailcote"
}
