package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/truth"
)

// course is one server and one store through all rounds.
type course struct {
	kind    kind
	server  *stand
	other   *truth.Client // the other client
	out     io.Writer
	o       options
	program string
	env     []string
	dice    *rand.Rand
	written int
	move    bool // the server has MOVE
	refused int
	wrong   int
}

func trial(ctx context.Context, out io.Writer, dir, program string, k kind, o options) (err error) {
	server, err := k.start(dir, o)
	if err != nil {
		return err
	}
	defer server.close()
	c := &course{kind: k, server: server, out: out, o: o, program: program, dice: rand.New(rand.NewPCG(o.seed, 1)),
		env: []string{"MAILCOTE_STORE=" + filepath.Join(dir, "store.db"),
			"XDG_STATE_HOME=" + filepath.Join(dir, "mailcote")}}
	if err := c.dial(ctx); err != nil {
		return err
	}
	defer func() { c.other.Close() }()
	made := 0
	for _, name := range odd {
		name = k.prefix + strings.ReplaceAll(name, "|", k.separator)
		if err := c.other.Create(name); err != nil {
			fmt.Fprintf(out, "the server refuses the name %q: %v\n", name, err)
			continue
		}
		made++
		c.append(name)
	}
	fmt.Fprintf(out, "%d of %d odd names taken\n", made, len(odd))
	u := url.URL{Scheme: "imap", User: url.UserPassword(server.user, server.password), Host: server.addr}
	if _, errs, code := c.mailcote(nil, "account", "add", u.String()); code != 0 {
		return fmt.Errorf("account add: status %d: %s", code, errs)
	}
	if err := c.compare(ctx, "the first sync"); err != nil {
		return err
	}
	for round := range o.rounds {
		if err := c.round(ctx, round); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	c.quiet()
	if findings, errs, code := c.mailcote(nil, "check"); code != 0 {
		c.deviation("check: status %d: %s%s", code, findings, errs)
	}
	fmt.Fprintf(out, "%s: %d rounds, %d refused changes, %d deviations\n", k.name, o.rounds, c.refused, c.wrong)
	if c.wrong > 0 {
		return fmt.Errorf("%d deviations", c.wrong)
	}
	return nil
}

func (c *course) dial(ctx context.Context) (err error) {
	if c.other, err = truth.Dial(ctx, c.server.addr, c.server.user, c.server.password); err != nil {
		return err
	}
	lines, err := c.other.Do("CAPABILITY")
	words := strings.Fields(strings.ToUpper(strings.Join(lines, " ")))
	c.move = slices.Contains(words, "MOVE")
	return err
}

// round changes the server, kills the program or restarts the server in some rounds, then wants the store to follow.
func (c *course) round(ctx context.Context, round int) error {
	for range 4 + c.dice.IntN(6) {
		if err := c.change(); err != nil {
			c.refused++
			if c.o.verbose {
				fmt.Fprintf(c.out, "round %d: refused: %v\n", round, err)
			}
			// What closed the connection must not end the trial.
			if _, dead := c.other.Do("NOOP"); dead != nil {
				c.other.Close()
				if err := c.dial(ctx); err != nil {
					return err
				}
			}
		}
	}
	if every := max(1, c.o.rounds/max(1, c.o.kills)); c.o.kills > 0 && round%every == 0 {
		p, err := child.New([]string{c.program, "sync"}, c.env)
		if err != nil {
			return err
		}
		p.KillWithin(c.dice, 1500*time.Millisecond)
	}
	if c.server.restart != nil && (round == c.o.rounds/3 || round == 2*c.o.rounds/3) {
		c.other.Close()
		if err := c.server.restart(); err != nil {
			return err
		}
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	return c.compare(ctx, fmt.Sprintf("round %d", round))
}

// again marks the second comparison with a server that is late.
const again = ", once more"

// compare syncs, and prints how the store differs from the server.
func (c *course) compare(ctx context.Context, when string) error {
	began := time.Now()
	said, errs, code := c.mailcote(nil, "sync", "--json")
	took := time.Since(began)
	if code != 0 {
		faults, _, _ := c.mailcote(nil, "errors", "--json")
		c.deviation("%s: sync ends with %d: %s%s%s", when, code, said, errs, faults)
	}
	want, err := truth.Read(ctx, c.server.addr, c.server.user, c.server.password, c.server.unreadable...)
	if err != nil { // it lists a mailbox that cannot be opened, or it is gone
		c.deviation("%s: %v", when, err)
		return ctx.Err()
	}
	have, err := c.stored()
	if err != nil {
		return err
	}
	diff := truth.Diff(want, have)
	if len(diff) > 0 && c.server.late && !strings.HasSuffix(when, again) {
		return c.compare(ctx, when+again)
	}
	if len(diff) > 0 {
		c.deviation("%s: server %d lines, store %d, %d differ, the first (- server, + store):\n  %q", when, len(want),
			len(have), len(diff), diff[:min(6, len(diff))])
	}
	if c.o.verbose {
		fmt.Fprintf(c.out, "%s: %d lines, sync took %v\n", when, len(want), took.Round(time.Millisecond))
	}
	return nil
}

func (c *course) deviation(format string, words ...any) {
	c.wrong++
	fmt.Fprintf(c.out, "DEVIATION "+format+"\n", words...)
}

// quiet prints the commands of a sync without news.
func (c *course) quiet() {
	_, errs, _ := c.mailcote(nil, "sync", "-v")
	fmt.Fprintln(c.out, "a sync without news:")
	for line := range strings.Lines(errs) {
		fmt.Fprint(c.out, "  ", line)
	}
}

func (c *course) stored() (lines []truth.Line, err error) {
	out, errs, code := c.mailcote(nil, "sql", "--json",
		`SELECT mailbox AS "Mailbox", uid AS "UID", coalesce(sha256, '') AS "SHA256", flags AS "Flags" FROM mail`)
	if code != 0 {
		return nil, fmt.Errorf("sql: status %d: %s", code, errs)
	}
	for line := range strings.Lines(out) {
		var one truth.Line
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			return nil, fmt.Errorf("sql: %w", err)
		}
		lines = append(lines, one)
	}
	return lines, nil
}

// mailcote runs the program to its end.
func (c *course) mailcote(env []string, args ...string) (stdout, stderr string, code int) {
	p, err := child.New(append([]string{c.program}, args...), append(c.env, env...))
	if err != nil {
		return "", err.Error(), -1
	}
	select {
	case <-p.Done():
	case <-time.After(10 * time.Minute):
		p.Kill()
		return p.Stdout(), "it hangs: " + p.Stderr(), -1
	}
	return p.Stdout(), p.Stderr(), p.ExitCode()
}

// change does one thing another client would do. An error is what the server refuses.
func (c *course) change() error {
	boxes, err := c.boxes()
	if err != nil || len(boxes) == 0 {
		return errors.Join(err, errors.New("no mailbox"))
	}
	box := boxes[c.dice.IntN(len(boxes))]
	target := boxes[c.dice.IntN(len(boxes))]
	verb := c.dice.IntN(14)
	done := func(err error) error {
		if err != nil {
			return fmt.Errorf("change %d of %q (%q): %w", verb, box, target, err)
		}
		return nil
	}
	switch verb {
	case 0, 1, 2, 3:
		for range 1 + c.dice.IntN(4) {
			err = errors.Join(err, c.append(box))
		}
		return done(err)
	case 4, 5:
		flags := [][]string{{`\Seen`}, {`\Flagged`, `\Answered`}, {"$Work"}, {`\Draft`}}[c.dice.IntN(4)]
		how := []string{"+FLAGS", "-FLAGS", "FLAGS"}[c.dice.IntN(3)]
		return done(c.opened(box, fmt.Sprintf("STORE %%s %s (%s)", how, strings.Join(flags, " "))))
	case 6, 7:
		return done(c.opened(box, `STORE %s +FLAGS.SILENT (\Deleted)`, "EXPUNGE"))
	case 8:
		return done(c.opened(box, "COPY %s "+truth.Quote(truth.EncodeName(target))))
	case 9:
		if !c.move {
			return nil
		}
		return done(c.opened(box, "MOVE %s "+truth.Quote(truth.EncodeName(target))))
	case 10:
		return done(c.other.Rename(box, fmt.Sprintf("%srenamed %d", c.kind.prefix, c.dice.IntN(1000))))
	case 11:
		return done(c.other.Create(fmt.Sprintf("%snew %d", c.kind.prefix, c.dice.IntN(1000))))
	case 12:
		return done(c.other.Rename(box, c.kind.prefix+strings.ReplaceAll(odd[c.dice.IntN(len(odd))], "|",
			c.kind.separator)))
	}
	if strings.EqualFold(box, "INBOX") {
		return nil
	}
	return done(c.other.Delete(box))
}

func (c *course) append(box string) error {
	c.written++
	flags := [][]string{nil, {`\Seen`}, {`\Flagged`, `\Seen`}}[c.written%3]
	return c.other.Append(box, message("any", c.written), flags,
		time.Date(2019, 1, 1+c.written, c.written%24, 0, 0, 0, time.UTC))
}

// opened runs commands in a mailbox with some messages; "%s" stands for their numbers.
func (c *course) opened(box string, commands ...string) (err error) {
	lines, err := c.other.Do("SELECT " + truth.Quote(truth.EncodeName(box)))
	if err != nil {
		return err
	}
	have := 0
	for _, line := range lines {
		_, _ = fmt.Sscanf(line, "* %d EXISTS", &have) // another line leaves it as it is
	}
	if have > 0 {
		from := 1 + c.dice.IntN(have)
		set := fmt.Sprintf("%d:%d", from, min(have, from+c.dice.IntN(3)))
		for _, command := range commands {
			_, failed := c.other.Do(strings.Replace(command, "%s", set, 1))
			err = errors.Join(err, failed)
		}
	}
	_, _ = c.other.Do(`EXAMINE "no such mailbox"`) // it fails, and leaves the mailbox
	return err
}

// boxes are the decoded names of mailboxes that can be opened.
func (c *course) boxes() (names []string, err error) {
	lines, err := c.other.Mailboxes()
	for _, wire := range lines {
		if name := truth.DecodeName(wire); !slices.Contains(c.server.unreadable, name) {
			names = append(names, name)
		}
	}
	return names, err
}
