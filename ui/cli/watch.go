package cli

import (
	"context"
	"reflect"
	"time"

	"mailcote/storage"
	"mailcote/ui/agent"
)

const (
	drawEvery   = 200 * time.Millisecond // between two pictures, at least
	lookEvery   = 10 * time.Second       // between two looks, at most
	pollEvery   = 200 * time.Millisecond // of the store, while no agent tells
	listenAgain = time.Second            // between two tries to listen to an agent
)

// watchStatus shows the status whenever it changes, until ctx ends. It looks
// every so often by itself too: figures follow the clock, and an agent that
// hangs does not say so.
func (a *app) watchStatus(ctx context.Context, every time.Duration) error {
	err := a.reading(ctx, func(s *storage.Store) error {
		changed := make(chan struct{}, 1)
		following := make(chan struct{})
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			defer close(following)
			follow(ctx, s, func() {
				select {
				case changed <- struct{}{}:
				default:
				}
			})
		}()
		defer func() { cancel(); <-following }()
		var shown *statusView
		for {
			v, err := lookAt(ctx, s)
			if err != nil {
				return err
			}
			if shown == nil || !reflect.DeepEqual(v, *shown) {
				if err := a.showStatus(v); err != nil {
					return err
				}
				shown = &v
			}
			if wait(ctx, drawEvery, nil) != nil || wait(ctx, every, changed) != nil {
				return ctx.Err()
			}
		}
	})
	if ctx.Err() != nil { // Ctrl-C: the usual end
		return nil
	}
	return err
}

// showStatus shows one picture. On a terminal it replaces the one before,
// elsewhere it follows it.
func (a *app) showStatus(v statusView) error {
	switch {
	case a.json:
		return a.voice.JSON(v)
	case a.voice.OutTTY:
		return a.voice.Screen(a.plain(v))
	}
	if err := a.printStatus(v); err != nil {
		return err
	}
	return a.voice.Say("")
}

// plain is what printStatus prints, by line and without colours.
func (a *app) plain(v statusView) (all []string) {
	for _, b := range v.blocks() {
		if b.account != "" {
			all = append(all, a.title(b)...)
		}
		for _, l := range labelled(b.lines) {
			all = append(all, a.pair(l)...)
		}
	}
	return all
}

// follow calls tell at each change until ctx ends. While an agent runs it hears
// of changes from the agent, otherwise it watches the file.
func follow(ctx context.Context, s *storage.Store, tell func()) {
	for ctx.Err() == nil {
		if running, ok := agent.Running(stateDir(s.Path()), s.Path()); ok {
			if token, err := agent.Token(stateDir(s.Path()), s.Path()); err == nil {
				_ = running.Listen(ctx, token, tell) // it ends with the agent, and then the file is watched
				tell()
			}
		}
		followFile(ctx, s, tell)
	}
}

// followFile calls tell at each change of the file, until an agent runs. It
// watches for a second at least, so that a failing agent is not asked all the
// time.
func followFile(ctx context.Context, s *storage.Store, tell func()) {
	began := time.Now()
	last, _ := s.DataVersion(ctx) //nolint:errcheck // what is wrong with the store is said by who reads it
	for wait(ctx, pollEvery, nil) == nil {
		version, err := s.DataVersion(ctx)
		if err != nil || version != last {
			tell()
		}
		last = version
		if _, ok := agent.Running(stateDir(s.Path()), s.Path()); ok && time.Since(began) >= listenAgain {
			tell()
			return
		}
	}
}

// wait returns after d, or earlier when wake says so.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
	return ctx.Err()
}
