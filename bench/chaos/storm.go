package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"mailcote/testkit/child"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/truth"
)

const (
	orderly = 20 * time.Second // in which an agent ends, when it is asked to
	calmest = 75 * time.Second // of peace, at most, after the trouble
)

// storm runs every kind of trouble for a while, ends them all and leaves the
// program in peace.
func (m *machine) storm(ctx context.Context, lasting time.Duration) error {
	over, cancel := context.WithTimeout(ctx, lasting)
	defer cancel()
	all, over := errgroup.WithContext(over)
	for _, trouble := range []func(context.Context) error{m.torment, m.fillDisk, m.cutWire, m.post} {
		all.Go(func() error { return trouble(over) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if m.agent == nil {
		if err := m.begin(); err != nil {
			return err
		}
	}
	select {
	case <-time.After(min(calmest, lasting/6)):
	case <-m.agent.Done():
		return fmt.Errorf("in peace the agent ended by itself, status %d: %s", m.agent.ExitCode(), m.agent.Stderr())
	case <-ctx.Done():
		m.agent.Kill()
		return ctx.Err()
	}
	return m.end()
}

func (m *machine) begin() (err error) {
	m.agent, err = child.New([]string{m.program, "run", "--port", "0", "--json", "--quiet"}, m.env)
	m.count(func(t *toll) { t.starts++ })
	return err
}

func (m *machine) end() error {
	if err := m.agent.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end the agent: %w", err)
	}
	select {
	case <-m.agent.Done():
	case <-time.After(orderly):
		m.agent.Kill()
		return fmt.Errorf("the agent was told to end and had not done so after %v", orderly)
	}
	if code := m.agent.ExitCode(); code != 0 {
		return fmt.Errorf("the agent was told to end and gave status %d: %s", code, m.agent.Stderr())
	}
	return nil
}

func (m *machine) count(change func(*toll)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.toll)
}

// torment keeps an agent running. It kills the agent, or stops it for a while.
func (m *machine) torment(ctx context.Context) error {
	dice := m.dice(1)
	for ctx.Err() == nil {
		if m.agent == nil {
			if err := m.begin(); err != nil {
				return err
			}
		}
		select {
		case <-time.After(between(dice, 300*time.Millisecond, 5*time.Second)):
		case <-m.agent.Done(): // with no disk it may say so and end
			said := fmt.Sprintf("status %d: %s", m.agent.ExitCode(), m.agent.Stderr())
			m.count(func(t *toll) { t.ends++; t.last = said })
			m.agent = nil
			pass(ctx, time.Second)
			continue
		case <-ctx.Done():
			return nil
		}
		if dice.IntN(3) > 0 {
			m.agent.Kill()
			m.agent = nil
			m.count(func(t *toll) { t.kills++ })
			continue
		}
		if stand(m.agent) != nil { // it has just ended, or the system has no such thing
			continue
		}
		pass(ctx, between(dice, 100*time.Millisecond, 5*time.Second))
		_ = walk(m.agent) //nolint:errcheck // it cannot have gone while it stood
		m.count(func(t *toll) { t.stops++ })
	}
	return nil
}

func (m *machine) fillDisk(ctx context.Context) error {
	dice := m.dice(2)
	for m.disk.small && pass(ctx, between(dice, time.Second, 15*time.Second)) {
		if err := m.disk.fill(); err != nil {
			return err
		}
		m.count(func(t *toll) { t.fills++ })
		pass(ctx, between(dice, 200*time.Millisecond, 5*time.Second))
		if err := m.disk.free(); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) cutWire(ctx context.Context) error {
	dice := m.dice(3)
	for pass(ctx, between(dice, 200*time.Millisecond, 4*time.Second)) {
		m.count(func(t *toll) { t.cuts++ })
		f, lasting := proxy.Faults{}, between(dice, 100*time.Millisecond, 4*time.Second)
		switch dice.IntN(6) {
		case 0, 1:
			m.line.CutAll()
			continue
		case 2:
			f.BlackHole = true
		case 3:
			f.Refuse = true
		case 4:
			f.Rate = 1000 + dice.Int64N(20_000)
		case 5:
			f.CutEvery = 10_000 + dice.Int64N(100_000)
		}
		m.line.Set(f)
		pass(ctx, lasting)
		m.line.Set(proxy.Faults{})
	}
	return nil
}

// post is another client: mail arrives, changes its flags and goes.
func (m *machine) post(ctx context.Context) error {
	dice := m.dice(4)
	for round := uint64(1); pass(ctx, between(dice, 50*time.Millisecond, time.Second)); round++ {
		n := 1 + dice.IntN(8)
		if err := m.deliver(m.options.seed+round, n); err != nil {
			return err
		}
		flagged, gone, err := m.change(ctx, dice, n)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("the other client: %w", err)
		}
		m.count(func(t *toll) { t.arrived += n; t.flagged += flagged; t.gone += gone })
	}
	return nil
}

// change flags some messages of one mailbox and removes its oldest ones, as
// many as arrived.
func (m *machine) change(ctx context.Context, dice *rand.Rand, n int) (flagged, gone int, err error) {
	c, err := truth.Dial(ctx, m.server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	box := corpus.Mailboxes(mailboxes)[dice.IntN(mailboxes)]
	lines, err := c.Do("STATUS " + truth.Quote(truth.EncodeName(box)) + " (MESSAGES)")
	if err != nil {
		return 0, 0, err
	}
	var have int
	for _, line := range lines {
		if at := strings.LastIndex(line, "(MESSAGES "); at >= 0 {
			have, _ = strconv.Atoi(strings.TrimRight(line[at+len("(MESSAGES "):], ") "))
		}
	}
	if have < 2*n+2 {
		return 0, 0, nil
	}
	how := []string{"+FLAGS", "-FLAGS"}[dice.IntN(2)]
	if _, err := c.Do("SELECT " + truth.Quote(truth.EncodeName(box))); err != nil {
		return 0, 0, err
	}
	_, storing := c.Do(fmt.Sprintf(`STORE %d:%d %s (\Flagged \Seen)`, n+1, 2*n, how))
	_, marking := c.Do(fmt.Sprintf(`STORE 1:%d +FLAGS (\Deleted)`, n))
	_, expunging := c.Do("EXPUNGE")
	return n, n, errors.Join(storing, marking, expunging)
}

// between draws a time.
func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)))
}

// pass waits. It reports false when the trouble is over.
func pass(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
