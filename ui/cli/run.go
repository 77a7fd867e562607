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
	"mailcote/ui/agent"
	"mailcote/ui/cli/bars"
	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
	"mailcote/ui/web"
)

// runEvery is how often `run` looks at every account.
const runEvery = time.Minute

func (a *app) run() *cobra.Command {
	var open, mail bool
	var port int
	c := &cobra.Command{
		Use: "run", Short: "Keep every account in sync and serve the page", Args: exactly(0, ""),
		Long: `Keep every account in sync (a pass each minute) and serve the page on this
machine, until Ctrl-C. The link and the code it prints sign one browser in,
once, within five minutes. With --json it goes on and prints events, one object
a line: where each account stands, each pass, each error, and with --mail each
message that arrives.`,
		Example: `  mailcote run --open
  mailcote run --json --quiet --mail`,
		RunE: func(c *cobra.Command, _ []string) error {
			if port < 0 || port > 65535 {
				return usagef("--port: the port must be a number from 0 to 65535, where 0 is a free one")
			}
			if mail && !a.json {
				return usageHint(c.CommandPath()+" --json --mail", "--mail is for programs and belongs to --json")
			}
			return a.tending(c.Context(), "mailcote run", func(ctx context.Context, st *storage.Store,
				e *engine.Engine) error {
				if err := anyAccount(ctx, st); err != nil {
					return err
				}
				return a.agent(ctx, st, e, agentOptions{port: port, open: open, mail: mail, every: runEvery})
			})
		},
	}
	c.Flags().BoolVar(&open, "open", false, "open the page in the browser")
	c.Flags().BoolVar(&mail, "mail", false, "with --json, print each message that arrives")
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
	mail  bool // among the events are messages that arrive
	every time.Duration
	first func() error // runs once the page is served; nil: nothing
}

// readyView is what an agent prints in JSON when its page is served.
type readyView struct {
	Type string `json:"type"` // always "ready"
	URL  string `json:"url"`  // of the page
	Link string `json:"link"` // signs one browser in, once, within five minutes
	Code string `json:"code"` // does the same when it is typed at url
	PID  int    `json:"pid"`  // of the agent
}

// agent serves the page and keeps every account in sync until ctx ends.
func (a *app) agent(ctx context.Context, st *storage.Store, e *engine.Engine, o agentOptions) (err error) {
	token, err := agent.Token(stateDir(st.Path()), st.Path())
	if err != nil {
		return err
	}
	// Its pages refer to this log when the store cannot be read.
	log := slog.New(slog.NewTextHandler(a.voice.Err(), nil))
	source := view.NewSource(st, e, o.every)
	server, err := web.Serve(ctx, web.Config{Source: source, Token: token, Port: o.port, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	published, err := agent.Publish(stateDir(st.Path()), st.Path(), agent.Agent{URL: server.URL(), PID: os.Getpid()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, published.Withdraw()) }()
	if err := a.announce(server); err != nil {
		return err
	}
	if a.json {
		end, err := a.tell(ctx, st, e, source, o.mail)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	if o.open {
		shut, err := a.openPage(ctx, server, st.Path())
		if err != nil {
			return err
		}
		defer shut()
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

// announce prints a link, and a code for a browser that cannot open the link.
func (a *app) announce(server *web.Server) error {
	i := server.Invite()
	if a.json {
		return a.voice.JSON(readyView{"ready", server.URL(), i.Link, i.Code, os.Getpid()})
	}
	a.voice.Note("The page (the link works once, within five minutes):")
	if err := a.voice.Say("%s", i.Link); err != nil {
		return err
	}
	a.voice.Note("Or open %s and type this code:", server.URL())
	if err := a.voice.Say("%s", i.Code); err != nil {
		return err
	}
	a.voice.Note("Ctrl-C ends.")
	return nil
}

// openPage opens the page in the browser. shut ends what that started.
func (a *app) openPage(ctx context.Context, server *web.Server, store string) (shut func(), err error) {
	o, err := agent.Open(ctx, stateDir(store), store, server.Invite(), func(err error) {
		a.voice.Note("The browser could not be opened: %s", voice.Line(err.Error()))
	})
	if err != nil {
		return nil, err
	}
	if o == nil {
		a.voice.Note("There is no display here to open the page on.")
		return func() {}, nil
	}
	return func() {
		if err := o.Close(); err != nil {
			a.voice.Warn("%s", voice.Line(err.Error()))
		}
	}, nil
}

// tokenView is `token --json`.
type tokenView struct {
	Type  string `json:"type"`  // always "token"
	Token string `json:"token"` // whoever has it can read the mail
}

func (a *app) token() *cobra.Command {
	var link bool
	c := &cobra.Command{
		Use: "token", Short: "Print the token that programs send to the page", Args: exactly(0, ""),
		Long: `Print the bearer token of this store. Whoever has it can read the mail: keep it
to yourself. With --link, ask the running agent for a new link and code. They
sign one browser in, once, within five minutes.`,
		Example: `  curl -H "Authorization: Bearer $(mailcote token)" \
    "$(mailcote status --json | jq -r .url)"
  mailcote token --link`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.reading(c.Context(), func(s *storage.Store) error {
				if link {
					return a.printLink(c.Context(), s.Path())
				}
				token, err := agent.Token(stateDir(s.Path()), s.Path())
				if err != nil {
					return err
				}
				if a.json {
					return a.voice.JSON(tokenView{"token", token})
				}
				return a.voice.Say("%s", token)
			})
		},
	}
	c.Flags().BoolVar(&link, "link", false, "print a one-time link to the running agent's page")
	return c
}

var errNoAgent = errors.New("no agent serves the page of this store: start one with mailcote run")

func (a *app) printLink(ctx context.Context, store string) error {
	running, ok := agent.Running(stateDir(store), store)
	if !ok {
		return errNoAgent
	}
	token, err := agent.Token(stateDir(store), store)
	if err != nil {
		return err
	}
	i, err := running.Invite(ctx, token)
	if err != nil {
		return err
	}
	if a.json {
		return a.voice.JSON(readyView{"ready", running.URL, i.Link, i.Code, running.PID})
	}
	// The link is alone on stdout, so that a shell can use it.
	if err := a.voice.Say("%s", i.Link); err != nil {
		return err
	}
	a.voice.Note("Or open %s and type the code %s. Both end when one was used, or in five minutes.", running.URL,
		i.Code)
	return nil
}
