package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/bars"
	"mailcote/ui/cli/page"
	"mailcote/ui/cli/voice"
	"mailcote/ui/web"
)

// runEvery is how often `run` looks at every account.
const runEvery = time.Minute

func (a *app) run() *cobra.Command {
	var open bool
	var port int
	c := &cobra.Command{
		Use: "run", Short: "Keep every account in sync and serve the page", Args: exactly(0, ""),
		Long: "Keep every account in sync (a pass each minute) and serve the page on this machine, until Ctrl-C.\n" +
			"The link it prints signs one browser in, once, within five minutes.",
		Example: `  mailcote run --open
  mailcote run --json --quiet`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.tending(c.Context(), "mailcote run", func(ctx context.Context, st *storage.Store, e *engine.Engine) error {
				if err := anyAccount(ctx, st); err != nil {
					return err
				}
				return a.agent(ctx, st, e, agentOptions{port: port, open: open, every: runEvery})
			})
		},
	}
	c.Flags().BoolVar(&open, "open", false, "open the page in the browser")
	c.Flags().IntVar(&port, "port", web.DefaultPort, "the page's `PORT`; a free one when it is taken")
	return c
}

func anyAccount(ctx context.Context, st *storage.Store) error {
	return st.Read(ctx, func(r *storage.Reader) error {
		all, err := r.Accounts()
		if err == nil && len(all) == 0 {
			err = noAccount()
		}
		return err
	})
}

// agentOptions say how an agent runs.
type agentOptions struct {
	port  int
	open  bool
	every time.Duration
	first func() error // runs once the page is served; nil: nothing
}

// readyView is what an agent prints in JSON when its page is served.
type readyView struct {
	Type string `json:"type"` // ready
	URL  string `json:"url"`
	Link string `json:"link"` // signs one browser in, once, within five minutes
	PID  int    `json:"pid"`
}

// agent serves the page and keeps every account in sync until ctx ends.
func (a *app) agent(ctx context.Context, st *storage.Store, e *engine.Engine, o agentOptions) (err error) {
	token, err := web.Token(stateDir(st.Path()), st.Path())
	if err != nil {
		return err
	}
	source := page.NewSource(st, e.Progress)
	log := slog.New(slog.NewTextHandler(a.voice.Err(), nil)) // the page sends its reader here when the store cannot be read
	server, err := web.Serve(ctx, web.Config{Source: source, Progress: source.Progress, Token: token, Port: o.port, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	stop, err := a.publish(ctx, server, st.Path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := a.announce(ctx, server, o.open); err != nil {
		return err
	}
	if o.first != nil {
		if err := o.first(); err != nil {
			return err
		}
	}
	display := bars.Start(a.voice, bars.Options{Snapshot: e.Progress, Plain: a.verbose, Lasting: true})
	defer display.Stop()
	defer a.onInterrupt(ctx)()
	return e.Run(ctx, o.every)
}

// linkEvery is how often the link in the agent file is renewed; each lives five minutes.
const linkEvery = time.Minute

// publish tells other processes where the page is, with a link that never gets old, until stop is called.
func (a *app) publish(ctx context.Context, server *web.Server, store string) (stop func() error, err error) {
	tell := func() (page.Publication, error) {
		return page.Publish(stateDir(store), store, page.Agent{URL: server.URL(), PID: os.Getpid(), Link: server.LoginURL()})
	}
	published, err := tell()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(linkEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if _, err := tell(); err != nil {
					a.voice.Warn("%s", voice.Line(err.Error()))
				}
			}
		}
	}()
	return func() error { cancel(); <-ended; return published.Withdraw() }, nil
}

// announce prints the link and opens it if that is wanted and possible.
func (a *app) announce(ctx context.Context, server *web.Server, open bool) error {
	link := server.LoginURL()
	if open {
		if opened, err := page.Browse(ctx, link); err != nil {
			a.voice.Note("The browser could not be opened: %s", voice.Line(err.Error()))
		} else if opened {
			link = server.LoginURL() // the first one is used up
		} else {
			a.voice.Note("There is no display here to open the page on.")
		}
	}
	if a.json {
		return a.voice.JSON(readyView{"ready", server.URL(), link, os.Getpid()})
	}
	a.voice.Note("The page (the link works once, within five minutes):")
	if err := a.voice.Say("%s", link); err != nil {
		return err
	}
	a.voice.Note("Ctrl-C ends.")
	return nil
}

func (a *app) token() *cobra.Command {
	var link bool
	c := &cobra.Command{
		Use: "token", Short: "Print the token that programs send to the page", Args: exactly(0, ""),
		Long: "Print the bearer token of this store. Whoever has it can read the mail: keep it to yourself.\n" +
			"With --link, print a link that signs one browser in, once; a running agent has a fresh one every minute.",
		Example: `  curl -H "Authorization: Bearer $(mailcote token)" "$(mailcote status --json | jq -r .url)"
  mailcote token --link`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.reading(c.Context(), func(s *storage.Store) error {
				if link {
					return a.printLink(s.Path())
				}
				token, err := web.Token(stateDir(s.Path()), s.Path())
				if err != nil {
					return err
				}
				if a.json {
					return a.voice.JSON(struct {
						Type  string `json:"type"`
						Token string `json:"token"`
					}{"token", token})
				}
				return a.voice.Say("%s", token)
			})
		},
	}
	c.Flags().BoolVar(&link, "link", false, "print a one-time link to the running agent's page")
	return c
}

func (a *app) printLink(store string) error {
	agent, ok := page.Running(stateDir(store), store)
	if !ok {
		return errors.New("no agent serves the page of this store: start one with mailcote run")
	}
	if a.json {
		return a.voice.JSON(readyView{"ready", agent.URL, agent.Link, agent.PID})
	}
	return a.voice.Say("%s", agent.Link)
}
