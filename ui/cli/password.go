package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/ui/cli/voice"
)

// sources are the flags that say where a password comes from.
type sources struct {
	file         string
	command      string
	stdin        bool
	noSecretFile bool
	insecure     bool

	read  *secret.Secret // what stdin gave; nil: it was not read yet
	asked bool           // the password was typed at the prompt
}

func (s *sources) flags(c *cobra.Command) {
	s.refFlags(c)
	c.Flags().BoolVar(&s.stdin, "password-stdin", false, "read the password from the first line of stdin")
	c.Flags().BoolVar(&s.noSecretFile, "no-secret-file", false,
		"never write a password into the secrets file beside the store")
}

// refFlags are the flags that say where a later process finds a password.
func (s *sources) refFlags(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "password-file", "", "read the password from the first line of `FILE`, now and later")
	c.Flags().StringVar(&s.command, "password-command", "",
		"read the password from the first line that `CMD` prints, now and later")
	c.Flags().BoolVar(&s.insecure, "insecure", false, "allow imap:// (no TLS) to another machine")
}

// login reads a URL and refuses what must not be tried.
func (s *sources) login(a *app, url string) (engine.Login, error) {
	l, err := engine.ParseURL(url)
	if err != nil {
		return l, err
	}
	if err := s.onlyOne(a); err != nil {
		return l, err
	}
	local := imap.Loopback(l.Host)
	if l.Security == imap.Plain && !local && !s.insecure {
		return l, usagef("imap:// would send the password to %s in the clear: write imaps:// or imap+starttls://, or "+
			"accept the risk with --insecure", l.Host)
	}
	if !l.Password.Empty() && !local {
		a.voice.Warn("a password in a URL is seen by other users of this machine and kept in the shell's history: " +
			"use --password-file, --password-command or the prompt")
	}
	return l, nil
}

// ref is what the flags say; the zero value when there is none.
func (s *sources) ref() (secret.Ref, error) {
	switch {
	case s.file != "":
		path, err := filepath.Abs(s.file)
		if err != nil {
			return secret.Ref{}, fmt.Errorf("password file: %w", err)
		}
		return secret.Ref{Kind: secret.File, Value: path}, nil
	case s.command != "":
		return secret.Ref{Kind: secret.Command, Value: s.command}, nil
	}
	return secret.Ref{}, nil
}

// canGive checks, before anything is changed, that there will be a password. If
// keep is true there must be a place to keep it too.
func (s *sources) canGive(a *app, l engine.Login, keep bool) error {
	switch {
	case s.file != "" || s.command != "":
		return nil
	case l.Password.Empty() && !s.stdin && !a.voice.CanAsk():
		return usagef("no password for %s, and nobody to ask: give --password-file FILE, --password-command CMD or "+
			"--password-stdin", l.Key())
	case keep && s.noSecretFile:
		return usagef("--no-secret-file leaves no place for the password of %s: give --password-file FILE or "+
			"--password-command CMD", l.Key())
	}
	return nil
}

// get gets the password: by the flags, from the URL, otherwise from the prompt.
func (s *sources) get(ctx context.Context, a *app, l engine.Login, store string) (secret.Secret, secret.Ref, error) {
	ref, err := s.ref()
	if err != nil {
		return secret.Secret{}, ref, err
	}
	if ref.Kind != secret.None {
		value, err := l.Resolve(ctx, ref, secret.BoxOf(store))
		switch {
		case errors.Is(err, secret.ErrNotText):
		case err != nil && ref.Kind == secret.Command:
			err = fmt.Errorf("%w: run it in a shell to see why", err)
		case err != nil:
			err = fmt.Errorf("%w: name a file whose first line is the password", err)
		}
		return value, ref, ofLogin(l, err)
	}
	if s.stdin {
		value, err := s.fromStdin(ctx, a)
		return value, ref, ofLogin(l, err)
	}
	if !l.Password.Empty() {
		return l.Password, ref, nil
	}
	s.asked = true
	value, err := s.ask(ctx, a, l, "")
	if err == nil && value.Empty() {
		err = usagef("no password was typed: nothing was added")
	}
	return value, ref, err
}

// remember saves a typed password into the secrets file, and says so.
func (s *sources) remember(a *app, store string, l engine.Login, value secret.Secret) (secret.Ref, error) {
	box := secret.BoxOf(store)
	if err := box.Put(l.Key(), value); err != nil {
		return secret.Ref{}, err
	}
	a.voice.Note("The password is kept in %s, which only you can read.", voice.Line(box.Path))
	return l.SavedRef(), nil
}
