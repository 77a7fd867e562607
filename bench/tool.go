package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
)

// tool is one program to measure.
type tool struct {
	name string
	// prepare makes what the program needs in target and gives its command line and environment.
	prepare func(target string, port int) (argv, env []string, err error)
	// messages counts what the program says or shows it holds.
	messages func(target, stdout string) (int, error)
	// times says when all mail could be read and when all was in the search
	// index; 0 when the program does not say it. Nil means that all was readable
	// at its end and that it has no index.
	times func(stdout string) (readable, searchable time.Duration)
}

// outcome is what one command took.
type outcome struct {
	wall, cpu time.Duration
	rss       int64
	wire      int64         // bytes both ways
	server    time.Duration // CPU of the server meanwhile
	stdout    string
}

// result is a first and a second sync into one target.
type result struct {
	first, second outcome
	readable      time.Duration
	searchable    time.Duration // after readable
	store         int64         // bytes on disk afterwards
}

func (b *bench) tools(ctx context.Context) (tools []tool, err error) {
	o := b.options
	if o.mailcote != "none" {
		built, err := child.Build(ctx, b.dir, o.mailcote)
		if err != nil {
			return nil, err
		}
		tools = append(tools, mailcote(built))
	}
	if o.against != "" {
		before := mailcote(o.against)
		before.name = "mailcote, earlier"
		tools = append(tools, before)
	}
	if o.mbsync == "none" {
		return tools, nil
	}
	found, err := exec.LookPath(o.mbsync)
	if err != nil {
		return nil, fmt.Errorf("mbsync is missing; install it with: apt-get install isync: %w", err)
	}
	return append(tools, mbsync("mbsync", found, "yes"), mbsync("mbsync, no fsync", found, "no")), nil
}

// measure syncs twice into a fresh target.
func (b *bench) measure(ctx context.Context, t tool, rtt time.Duration) (result, error) {
	target, err := os.MkdirTemp(b.dir, "target")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(target)
	line, err := proxy.New(b.server.Addr(), b.options.seed)
	if err != nil {
		return result{}, err
	}
	defer line.Close()
	line.Set(proxy.Faults{Delay: rtt / 2})
	argv, env, err := t.prepare(target, line.Port())
	if err != nil {
		return result{}, err
	}
	var r result
	if r.first, err = b.once(ctx, argv, env, line); err != nil {
		return result{}, err
	}
	n, err := t.messages(target, r.first.stdout)
	if err != nil {
		return result{}, err
	}
	if n != b.options.messages {
		return result{}, fmt.Errorf("it holds %d messages of %d", n, b.options.messages)
	}
	// mbsync waits a second when a directory changed within this one. That is
	// no cost of a sync without news.
	select {
	case <-time.After(b.options.settle):
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
	if r.second, err = b.once(ctx, argv, env, line); err != nil {
		return result{}, err
	}
	r.readable = r.first.wall
	if t.times != nil {
		readable, searchable := t.times(r.first.stdout)
		if r.readable = readable; readable > 0 && searchable > 0 {
			r.searchable = searchable - readable
		}
	}
	r.store, err = onDisk(target)
	return r, err
}

func (b *bench) once(ctx context.Context, argv, env []string, line *proxy.Proxy) (outcome, error) {
	before, busy := line.Stats(), b.server.CPU()
	p, err := child.New(argv, env)
	if err != nil {
		return outcome{}, err
	}
	defer p.Kill()
	select {
	case <-p.Done():
	case <-ctx.Done():
		return outcome{}, ctx.Err()
	}
	if err := p.Wait(); err != nil {
		return outcome{}, fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, p.Stderr())
	}
	after := line.Stats()
	r := outcome{rss: p.MaxRSS(), stdout: p.Stdout(), wire: after.Up + after.Down - before.Up - before.Down,
		server: b.server.CPU() - busy}
	r.wall, r.cpu = p.Usage()
	return r, nil
}

func onDisk(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

func mailcote(program string) tool {
	return tool{
		name: "mailcote",
		prepare: func(target string, port int) ([]string, []string, error) {
			u := url.URL{
				Scheme: "imap",
				User:   url.UserPassword(dovecot.User, dovecot.Password),
				Host:   net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
			}
			env := []string{"HOME=" + target}
			for _, kind := range []string{"DATA", "STATE", "CONFIG", "CACHE"} {
				env = append(env, "XDG_"+kind+"_HOME="+filepath.Join(target, strings.ToLower(kind)))
			}
			store := filepath.Join(target, "mail.db")
			return []string{program, "sync", u.String(), "--once", "--json", "--store", store}, env, nil
		},
		messages: func(_, stdout string) (int, error) {
			s, err := lastSummary(stdout)
			return s.Fetched, err
		},
		times: func(stdout string) (readable, searchable time.Duration) {
			s, err := lastSummary(stdout)
			if err != nil {
				return 0, 0
			}
			return duration(s.ReadableSeconds), duration(s.Seconds)
		},
	}
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// summary is the last line of `mailcote sync --once --json` (DESIGN §8).
type summary struct {
	Type            string  `json:"type"`
	Fetched         int     `json:"fetched"`
	Result          string  `json:"result"`
	ReadableSeconds float64 `json:"readable_seconds"`
	Seconds         float64 `json:"seconds"`
}

func lastSummary(stdout string) (summary, error) {
	var last summary
	for line := range strings.Lines(stdout) {
		var s summary
		if json.Unmarshal([]byte(line), &s) == nil && s.Type == "summary" {
			last = s
		}
	}
	if last.Result != "complete" {
		return last, fmt.Errorf("no summary of a complete sync in its output: %q", stdout[max(0, len(stdout)-400):])
	}
	return last, nil
}

func mbsync(name, program, fsync string) tool {
	return tool{
		name: name,
		prepare: func(target string, port int) ([]string, []string, error) {
			mail := filepath.Join(target, "mail")
			if err := os.Mkdir(mail, 0o700); err != nil {
				return nil, nil, err
			}
			conf := filepath.Join(target, "mbsyncrc")
			text := fmt.Sprintf(`FSync %s

IMAPAccount bench
Host 127.0.0.1
Port %d
User %s
Pass %s
SSLType None
AuthMechs LOGIN

IMAPStore far
Account bench

MaildirStore near
Path %s/
Inbox %s/INBOX
SubFolders Verbatim

Channel bench
Far :far:
Near :near:
Patterns *
Sync Pull
Create Near
SyncState *
`, fsync, port, dovecot.User, dovecot.Password, mail, mail)
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				return nil, nil, err
			}
			return []string{program, "-q", "-c", conf, "-a"}, []string{"HOME=" + target}, nil
		},
		messages: func(target, _ string) (int, error) {
			return countMail(filepath.Join(target, "mail"))
		},
	}
}

// countMail counts the messages of a tree of Maildirs.
func countMail(dir string) (int, error) {
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if parent := filepath.Base(filepath.Dir(path)); !d.IsDir() && (parent == "cur" || parent == "new") {
			n++
		}
		return nil
	})
	if err == nil && n == 0 {
		err = errors.New("no message arrived")
	}
	return n, err
}
