package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
)

// setting is what account set changes.
type setting struct {
	sources
	port     int
	security string
}

func (a *app) accountSet() *cobra.Command {
	var s setting
	c := &cobra.Command{
		Use: "set ACCOUNT", Short: "Change how an account is reached, or where its password is",
		Args: exactly(1, "ACCOUNT"),
		Long: `Change the port or the security of an account, or where its password comes
from. Its name and its mail stay, and the next sync uses what is new. A pause
that the change may have mended ends: the account is tried once.
Without --port, a server at the usual port of the old security is then looked
for at that of the new one.`,
		Example: `  mailcote account set work --port 993 --security tls
  mailcote account set work --password-command 'pass show mail'`,
		ValidArgsFunction: a.completeAccounts(1),
		RunE: func(c *cobra.Command, args []string) error {
			port := c.Flags().Changed("port")
			if !port && s.security == "" && s.file == "" && s.command == "" {
				return usagef("nothing to change: give --port, --security, --password-file or --password-command")
			}
			return a.set(c.Context(), &s, args[0], port)
		},
	}
	c.Flags().IntVar(&s.port, "port", 0, "the server's `PORT`")
	c.Flags().StringVar(&s.security, "security", "", "`HOW` the connection is secured: tls, starttls or plain")
	s.refFlags(c)
	flagged(c, "security", oneOf("tls", "starttls", "plain"))
	return c
}

// set reads what is to change, refuses what must not be done and changes it.
func (a *app) set(ctx context.Context, s *setting, name string, port bool) error {
	if port && (s.port < 1 || s.port > 65535) {
		return usagef("--port: the port must be a number from 1 to 65535")
	}
	switch imap.Security(s.security) {
	case "", imap.TLS, imap.StartTLS, imap.Plain:
	default:
		return usagef("--security: it is tls, starttls or plain")
	}
	ref, err := s.oneRef()
	if err != nil {
		return err
	}
	var have storage.Account
	if err := a.read(ctx, func(r *storage.Reader) (err error) {
		have, err = findAccount(r, name)
		return err
	}); err != nil {
		return err
	}
	c := engine.Change{Port: s.port, Security: imap.Security(s.security), Insecure: s.insecure, Ref: ref}
	if c.Security == imap.Plain && !imap.Loopback(have.Host) && !s.insecure {
		return usagef("plain would send the password to %s in the clear: use tls or starttls, or accept the risk with "+
			"--insecure", have.Host)
	}
	if c.Security != "" && c.Port == 0 && have.Port == imap.Security(have.Security).Port() {
		c.Port = c.Security.Port()
	}
	return a.change(ctx, "mailcote account set", []string{name}, func(e *engine.Engine, ids []storage.AccountID) error {
		err := e.SetAccount(ctx, ids[0], c)
		if taken := (*engine.TakenError)(nil); errors.As(err, &taken) {
			return usagef("%s is account %s already: each account on this machine has a port of its own", taken.Key,
				taken.Other)
		}
		if err == nil {
			a.voice.Note("%s is reached at %s.", voice.Line(have.Name), voice.Line(serverURL(
				cmp.Or(s.security, have.Security), have.Host, cmp.Or(c.Port, have.Port))))
		}
		return err
	})
}

// move decides whether a URL may change the port or the security of the account
// it means. Where somebody can be asked, the answer decides; otherwise the error
// says how it is changed.
func (a *app) move(ctx context.Context, st *storage.Store, l engine.Login) (move bool, err error) {
	elsewhere := (*engine.ElsewhereError)(nil)
	err = st.Read(ctx, func(r *storage.Reader) error {
		have, err := r.AccountByIdentity(l.User, l.Host, l.Port)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err == nil {
			err = engine.Elsewhere(have, l)
		}
		return err
	})
	if !errors.As(err, &elsewhere) {
		return false, err
	}
	have := elsewhere.Account
	at := serverURL(have.Security, have.Host, have.Port)
	wanted := serverURL(string(l.Security), l.Host, l.Port)
	if a.voice.CanAsk() {
		move, err = a.voice.Confirm(ctx, voice.Line(fmt.Sprintf("Account %s is at %s. Change it to %s?", have.Name, at,
			wanted)))
		if err != nil || move {
			return move, err
		}
	}
	change := []string{"mailcote account set", view.ShellWord(have.Name)}
	if have.Port != l.Port {
		change = append(change, "--port", fmt.Sprint(l.Port))
	}
	if have.Security != string(l.Security) {
		change = append(change, "--security", string(l.Security))
		if l.Security == imap.Plain && !imap.Loopback(l.Host) {
			change = append(change, "--insecure")
		}
	}
	return false, usagef("account %s is at %s, not at %s, and nothing was changed: if its server moved, %s", have.Name,
		at, wanted, strings.Join(change, " "))
}

// oneRef is ref for flags that exclude each other.
func (s *sources) oneRef() (secret.Ref, error) {
	if s.file != "" && s.command != "" {
		return secret.Ref{}, usagef("--password-file and --password-command exclude each other: give one")
	}
	return s.ref()
}
