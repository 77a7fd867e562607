package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/truth"
)

// mailboxes hold the mail.
const mailboxes = 8

// machine is what breaks: a server, a line to it, a disk, and the program.
type machine struct {
	options options
	program string
	env     []string
	server  *dovecot.Server
	line    *proxy.Proxy
	disk    disk

	agent *child.Proc // `mailcote run`; only storm's own goroutine touches it

	mu   sync.Mutex
	toll toll
}

// toll counts what was done.
type toll struct {
	kills, stops, fills, cuts int
	starts, ends              int    // of the agent; ends it chose itself
	arrived, flagged, gone    int    // messages
	last                      string // what an agent said that ended itself
}

func newMachine(dir, program string, o options) (*machine, error) {
	homes := [2]string{filepath.Join(dir, "s"), filepath.Join(dir, "disk")}
	for i, mode := range []os.FileMode{0o755, 0o700} {
		if err := os.Mkdir(homes[i], mode); err != nil {
			return nil, err
		}
	}
	server, err := dovecot.New(homes[0], dovecot.Config{})
	if err != nil {
		return nil, err
	}
	m := &machine{options: o, program: program, server: server}
	if m.line, err = proxy.New(server.Addr(), o.seed); err != nil {
		server.Close()
		return nil, err
	}
	m.disk = mount(homes[1])
	m.env = []string{"MAILCOTE_STORE=" + filepath.Join(homes[1], "mail.db"), "XDG_STATE_HOME=" +
		filepath.Join(homes[1], "state"), "TMPDIR=" + dir}
	if err := m.deliver(o.seed, o.messages); err != nil {
		return nil, errors.Join(err, m.close())
	}
	u := url.URL{Scheme: "imap", User: url.UserPassword(dovecot.User, dovecot.Password), Host: m.line.Addr()}
	if _, err := m.mailcote("account", "add", u.String()); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *machine) close() error {
	m.line.Close()
	m.server.Close()
	return m.disk.unmount()
}

func (m *machine) deliver(seed uint64, n int) error {
	_, err := corpus.Fill(seed, n, mailboxes, corpus.Options{AvgSize: 6000},
		func(mailbox string, one corpus.Message) error {
			return m.server.Put(dovecot.User, mailbox, one.Raw, dovecot.Options{Flags: one.Flags, Date: one.Date})
		})
	return err
}

// mailcote runs the program to its end and wants success.
func (m *machine) mailcote(args ...string) (stdout string, err error) {
	p, err := child.New(append([]string{m.program}, args...), m.env)
	if err != nil {
		return "", err
	}
	select {
	case <-p.Done():
	case <-time.After(5 * time.Minute):
		p.Kill()
		return "", fmt.Errorf("mailcote %s hangs: %s", args[0], p.Stderr())
	}
	if code := p.ExitCode(); code != 0 {
		return p.Stdout(), fmt.Errorf("mailcote %s: status %d: %s%s", args[0], code, p.Stdout(), p.Stderr())
	}
	return p.Stdout(), nil
}

// verdict is the result of a run.
type verdict struct {
	toll
	line          proxy.Stats
	disk          disk
	took          time.Duration // of the sync afterwards
	paused        string        // the account's pause when the trouble was over; "": none
	mail          int
	differ        []string
	tasks, failed int
	faults        int
}

func (v verdict) String() string {
	share := 100 * float64(v.failed) / float64(max(1, v.tasks))
	return fmt.Sprintf("%d SIGKILL, %d SIGSTOP, %d times no disk, %d times trouble on the wire (%d connections); %d "+
		"agents, %d ended by themselves\n"+
		"%d messages arrived, %d were flagged, %d went; %d faults recorded; pause: %q; the last sync took %v\n"+
		"%d lines in the end, %d differ (0 lost and 0 doubled if 0); %d of %d tasks failed (%.2f %%)\n",
		v.kills, v.stops, v.fills, v.cuts, v.line.Connections, v.starts, v.ends,
		v.arrived, v.flagged, v.gone, v.faults, v.paused, v.took.Round(time.Millisecond), v.mail, len(v.differ),
		v.failed, v.tasks, share)
}

// said is what the last agent that ended by itself printed.
func (v verdict) said() string {
	if v.last == "" {
		return ""
	}
	return "the last agent that ended by itself: " + v.last
}

func (v verdict) err() error {
	if len(v.differ) > 0 {
		return fmt.Errorf("the store is not what the server holds:\n%s",
			strings.Join(v.differ[:min(20, len(v.differ))], "\n"))
	}
	if v.failed*100 >= max(1, v.tasks) {
		return fmt.Errorf("%d of %d tasks failed", v.failed, v.tasks)
	}
	return nil
}

// judge syncs the rest, then compares.
func (m *machine) judge(ctx context.Context) (v verdict, err error) {
	v = verdict{toll: m.toll, line: m.line.Stats(), disk: m.disk}
	var accounts []struct{ Class string }
	if err := m.rows(`SELECT coalesce(pause_class, '') AS class FROM accounts`, &accounts); err != nil {
		return v, err
	}
	for _, a := range accounts {
		v.paused = a.Class
	}
	began := time.Now()
	if _, err := m.mailcote("sync", "--json"); err != nil {
		return v, fmt.Errorf("after the trouble: %w", err)
	}
	v.took = time.Since(began)
	if _, err := m.mailcote("check"); err != nil {
		return v, err
	}
	want, err := truth.Read(ctx, m.server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		return v, err
	}
	var have []truth.Line
	if err := m.rows(`SELECT mailbox, uid, coalesce(sha256, '') AS sha256, flags FROM mail`, &have); err != nil {
		return v, err
	}
	v.mail, v.differ = len(want), truth.Diff(want, have)
	var tasks []struct{ All, Failed, Faults int }
	if err := m.rows(`
		SELECT count(*) AS "all", sum(status <> 'completed') AS failed, (SELECT count(*) FROM sync_errors) AS faults
		FROM sync_tasks`, &tasks); err != nil {
		return v, err
	}
	v.tasks, v.failed, v.faults = tasks[0].All, tasks[0].Failed, tasks[0].Faults
	return v, nil
}

// rows reads the answer to a query into a slice of structs.
func (m *machine) rows(query string, into any) error {
	out, err := m.mailcote("sql", "--json", query)
	if err != nil {
		return err
	}
	list := "[" + strings.ReplaceAll(strings.TrimSpace(out), "\n", ",") + "]"
	if err := json.Unmarshal([]byte(list), into); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

// dice gives each kind of trouble a random source of its own, so that the pace
// of one does not change the draws of another.
func (m *machine) dice(n uint64) *rand.Rand { return rand.New(rand.NewPCG(m.options.seed, n)) }
