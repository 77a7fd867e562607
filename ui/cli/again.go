package cli

import (
	"context"
	"errors"
	"fmt"

	"mailcote/engine"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

// given reports whether a flag says where the password comes from.
func (s *sources) given() bool { return s.file != "" || s.command != "" || s.stdin }

// onlyOne refuses flags that exclude each other, and a stdin that cannot be
// read.
func (s *sources) onlyOne(a *app) error {
	switch {
	case s.file != "" && s.command != "":
		return usagef("--password-file and --password-command exclude each other: give one")
	case s.stdin && (s.file != "" || s.command != ""):
		return usagef("--password-stdin excludes --password-file and --password-command: give one")
	case s.stdin && a.voice.CanAsk():
		return usagef("--password-stdin reads from a pipe or a file, and stdin is a terminal: leave it out to be asked")
	}
	return nil
}

// fromStdin reads the password from stdin. A second call returns the same one:
// the command may start anew on a salvaged store.
func (s *sources) fromStdin(ctx context.Context, a *app) (secret.Secret, error) {
	if s.read != nil {
		return *s.read, nil
	}
	text, err := a.voice.FirstLine(ctx)
	if err != nil {
		return secret.Secret{}, err
	}
	value, err := secret.FirstLine(text, "password from stdin")
	if err == nil {
		s.read = &value
	}
	return value, err
}

// ask asks for the password. why is said before.
func (s *sources) ask(ctx context.Context, a *app, l engine.Login, why string) (secret.Secret, error) {
	value, err := a.voice.Password(ctx, fmt.Sprintf("%sPassword for %s at %s: ", why, voice.Line(l.User),
		voice.Line(l.Host)))
	return secret.New(value), err
}

// askAgain asks once more for a password that was typed and refused. It is
// empty if nothing was typed, or if that was not the case.
func (s *sources) askAgain(ctx context.Context, a *app, l engine.Login) (secret.Secret, error) {
	if !s.asked {
		return secret.Secret{}, nil
	}
	return s.ask(ctx, a, l, "The server refused it. ")
}

// refusedError is the failure of a sign-in whose password was refused.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// probeAsking is probe with a second try at the prompt. Each try signs in once.
func (a *app) probeAsking(ctx context.Context, s *sources, l *engine.Login, insecure bool) error {
	err := a.probe(ctx, *l, insecure)
	if refused := (*refusedError)(nil); !errors.As(err, &refused) {
		return err
	}
	value, asking := s.askAgain(ctx, a, *l)
	if asking != nil || value.Empty() {
		return errors.Join(asking, err)
	}
	l.Password = value
	return a.probe(ctx, *l, insecure)
}

// again asks once more for the password of a sync that the server refused. It
// reports whether the sync is to be tried with the one that was typed.
func (s *syncing) again(ctx context.Context, a *app, st *storage.Store, e *engine.Engine, l *engine.Login,
	ids []storage.AccountID, all []engine.Summary) (bool, error) {
	if l == nil || len(all) != 1 || !all[0].Refused {
		return false, nil
	}
	value, err := s.askAgain(ctx, a, *l)
	if err != nil || value.Empty() {
		return false, err
	}
	if !s.once {
		if _, err := s.remember(a, st.Path(), *l, value); err != nil {
			return false, err
		}
	}
	e.UsePassword(ids[0], value)
	return true, nil
}
