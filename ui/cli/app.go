package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/adrg/xdg"

	"mailcote/engine"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/ui/agent"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// app is one run of the program: its voice and its global flags.
type app struct {
	voice   *voice.Voice
	store   string // --store
	json    bool
	verbose bool
	direct  bool // sync --direct
}

// stopTime is how long a command may take to end after the first signal. It
// begins nothing new, gives the server a moment to answer, commits what came
// and logs out.
const stopTime = 5 * time.Second

// Main is Run until a signal. Only the first one is caught, and no longer when
// Run hears of it, so the second one kills the process. What has not ended
// stopTime after the first is abandoned: the store loses nothing by that.
func Main(signals []os.Signal, args []string, in, out, err *os.File) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	defer signal.Stop(caught)
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, args, in, out, err) }()
	select {
	case status := <-ended:
		return status
	case <-caught:
		signal.Stop(caught)
		cancel()
	}
	select {
	case status := <-ended:
		return status
	case <-time.After(stopTime):
		sayAbandoned(args, in, out, err)
		return int(Temporary)
	}
}

// wordTime is how long the last words may take.
const wordTime = time.Second

// sayAbandoned says that the rest was left, unless nobody reads it: that may be
// why the command did not end.
func sayAbandoned(args []string, in, out, err *os.File) {
	said := make(chan struct{})
	go func() { // ends with the words, or with the process
		defer close(said)
		v := voice.New(in, out, err)
		v.Fail(errAbandoned())
		if asksJSON(args) {
			_ = v.JSON(viewError(nil, errAbandoned())) // there is nobody else to tell
		}
	}()
	select {
	case <-said:
	case <-time.After(wordTime):
	}
}

// Run runs the command line and gives its exit status. It returns soon after ctx ends.
func Run(ctx context.Context, args []string, in, out, err *os.File) int {
	a := &app{voice: voice.New(in, out, err)}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(a.voice.Out())
	root.SetErr(a.voice.Err())
	c, failed := root.ExecuteContextC(ctx)
	if failed != nil {
		a.json = a.json || statusOf(failed) == Usage && asksJSON(args) // a flag before it was not understood
		failed = a.fail(c, failed)
	}
	return int(statusOf(failed))
}

// storePath is where the store is, and whether that is the default place.
func (a *app) storePath() (path string, isDefault bool, err error) {
	path = a.store
	if path == "" {
		path = os.Getenv("MAILCOTE_STORE")
	}
	if path == "" {
		path, isDefault = filepath.Join(xdg.DataHome, "mailcote", "mail.db"), true
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return "", false, fmt.Errorf("store path: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "", false, usagef("the store %s is a directory: name a file, such as --store %s", path,
			filepath.Join(path, "mail.db"))
	}
	return path, isDefault, nil
}

// stateDir is where the token and the agent file of a store are. A temporary
// store, as the demo's, has a directory of its own next to it, which is removed
// with the store.
func stateDir(store string) string {
	beside := store + stateSuffix
	if info, err := os.Lstat(beside); err == nil && info.IsDir() && agent.CheckPrivate(info) == nil {
		return beside // one that others can write to may be forged
	}
	return filepath.Join(xdg.StateHome, "mailcote")
}

// approvals are in the state directory of the person, never next to the store:
// who sends a store may send a directory with it.
func approvals() secret.Approvals {
	return secret.Approvals{Dir: filepath.Join(xdg.StateHome, "mailcote", "approved")}
}

const stateSuffix = ".state"

// reading opens the store for the length of fn. The store may have an owner.
func (a *app) reading(ctx context.Context, fn func(*storage.Store) error) error {
	path, _, err := a.storePath()
	if err != nil {
		return err
	}
	s, err := storage.Open(ctx, path, storage.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(fn(s), s.Close())
}

// read runs fn on one snapshot of the store.
func (a *app) read(ctx context.Context, fn func(*storage.Reader) error) error {
	return a.reading(ctx, func(s *storage.Store) error { return s.Read(ctx, fn) })
}

// owning opens the store as its owner and makes an engine. It closes both after
// fn.
func (a *app) owning(ctx context.Context, command string, fn func(*storage.Store, *engine.Engine) error) error {
	path, isDefault, err := a.storePath()
	if err != nil {
		return err
	}
	return a.owningAt(ctx, path, isDefault, command, fn)
}

func (a *app) owningAt(ctx context.Context, path string, isDefault bool, command string,
	fn func(*storage.Store, *engine.Engine) error) error {
	return a.owningWith(ctx, path, storage.Options{Default: isDefault, Holder: command, Migrating: a.migrating}, fn)
}

func (a *app) owningWith(ctx context.Context, path string, o storage.Options,
	fn func(*storage.Store, *engine.Engine) error) error {
	s, err := storage.Open(ctx, path, o)
	if err != nil {
		return err
	}
	if saved := s.Salvaged(); saved != nil {
		if err := a.saved(*saved); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	for _, warning := range s.Warnings() {
		a.voice.Warn("%s", voice.Line(warning))
	}
	e, err := engine.New(ctx, a.engineOptions(s))
	if err != nil {
		return errors.Join(&startError{err}, s.Close())
	}
	for _, warning := range e.Warnings() {
		a.voice.Warn("%s", voice.Line(warning))
	}
	err = fn(s, e)
	return errors.Join(err, e.Close(), s.Close())
}

// startError is an error of the engine's start, on a store that was opened.
type startError struct{ error }

func (e *startError) Unwrap() error { return e.error }

func (a *app) engineOptions(s *storage.Store) engine.Options {
	return engine.Options{Store: s, Trace: a.trace(), Direct: a.direct, Approvals: approvals(),
		Removing: func(name string) {
			a.voice.Note("Finishing the removal of %s, which was interrupted.", voice.Line(name))
		}}
}

// tending is owning for a command that syncs. A damaged store is salvaged,
// once, and fn runs on what was saved. The damage may be found at the start or
// while fn runs: then the context of fn ends.
func (a *app) tending(ctx context.Context, command string, fn func(context.Context, *storage.Store,
	*engine.Engine) error) error {
	path, isDefault, err := a.storePath()
	if err != nil {
		return err
	}
	tend := func(cause error) (damage error, err error) {
		o := storage.Options{Default: isDefault, Holder: command, Salvage: engine.Salvage(cause, a.salvaging()),
			Migrating: a.migrating}
		err = a.owningWith(ctx, path, o, func(st *storage.Store, e *engine.Engine) error {
			while, stop := st.While(ctx)
			defer stop()
			err := fn(while, st, e)
			if errors.Is(context.Cause(while), storage.ErrCorrupt) {
				damage = context.Cause(while)
			} else if errors.Is(err, storage.ErrCorrupt) { // a check saw it first
				damage = err
			}
			return err
		})
		start := (*startError)(nil)
		if errors.As(err, &start) && start != cause && errors.Is(start, storage.ErrCorrupt) {
			damage = start
		}
		return damage, err
	}
	damage, err := tend(nil)
	if damage != nil && ctx.Err() == nil {
		a.voice.Note("The store is damaged (%s). What can be read of it is saved into a new one.",
			voice.Line(damage.Error()))
		if damage, err = tend(damage); damage != nil {
			err = errors.Join(fmt.Errorf("the store was salvaged and is damaged again, so the disk may be failing: "+
				"copy %s to another disk", path), damage)
		}
	}
	return err
}

// migrating says what a migration will take.
func (a *app) migrating(m storage.Migration) {
	a.voice.Note("The store is brought from schema %d to %d, after a copy to %s: this takes about %s of disk and %s.",
		m.From, m.To, voice.Line(m.Backup), format.Octets(m.Disk),
		format.Plural(int64(m.Time/time.Second), "second", "seconds"))
}

// trace is where the wire log goes.
func (a *app) trace() io.Writer {
	if a.verbose {
		return a.voice.Err()
	}
	return nil
}

// inTemporaryStore is owning for a store that is removed when fn returns.
func (a *app) inTemporaryStore(ctx context.Context, command string,
	fn func(*storage.Store, *engine.Engine) error) error {
	dir, err := os.MkdirTemp("", "mailcote-") // 0700
	if err != nil {
		return fmt.Errorf("temporary store: %w", err)
	}
	path := filepath.Join(dir, "mail.db")
	if err = os.Mkdir(path+stateSuffix, 0o700); err == nil {
		err = a.owningAt(ctx, path, false, command, fn)
	}
	return errors.Join(err, os.RemoveAll(dir))
}
