package check

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var errEnough = errors.New("enough findings")

// checker hands out the parts of a check. Only Run's goroutine uses it.
type checker struct {
	Source
	ctx         context.Context
	done, total int64

	free  []Reader   // those that no part uses
	parts []*part    // begun and not in found yet, in their order
	ended chan *part // has room for all that run
	held  int        // findings of parts that ended and are not in found yet
	found []Finding  // of the parts before those, in their order
	err   error      // of the last of them
}

func newChecker(ctx context.Context, src Source) *checker {
	return &checker{Source: src, ctx: ctx, free: append([]Reader(nil), src.Readers...),
		ended: make(chan *part, len(src.Readers))}
}

// part is a piece of the check that runs beside others.
type part struct {
	Reader
	ctx   context.Context
	parse func(io.Reader) Derived
	found []Finding
	rows  int64 // that it looked at
	err   error
	ended bool
}

// take waits for a reader. It gives none while parts that ended hold much for
// one that has not.
func (c *checker) take() (Reader, error) {
	for c.err == nil && (len(c.free) == 0 || c.held > maxFindings) {
		c.settle(<-c.ended)
	}
	if c.err != nil {
		return Reader{}, c.err
	}
	last := len(c.free) - 1
	r := c.free[last]
	c.free = c.free[:last]
	return r, nil
}

// give returns a reader that no part uses.
func (c *checker) give(r Reader) { c.free = append(c.free, r) }

// look reads a snapshot before the check goes on.
func (c *checker) look(fn func(Snapshot) error) error {
	r, err := c.take()
	if err != nil {
		return err
	}
	defer c.give(r)
	return c.read(r, fn)
}

func (c *checker) read(r Reader, fn func(Snapshot) error) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	return r.Read(c.ctx, fn)
}

// side begins a part on one snapshot. What parts find stays in the order in
// which they began. what says what failed.
func (c *checker) side(what string, fn func(p *part, s Snapshot) error) error {
	r, err := c.take()
	if err != nil {
		return err
	}
	c.begin(r, what, fn)
	return nil
}

func (c *checker) begin(r Reader, what string, fn func(p *part, s Snapshot) error) {
	p := &part{Reader: r, ctx: c.ctx, parse: c.Parse}
	c.parts = append(c.parts, p)
	go func() {
		if err := c.read(r, func(s Snapshot) error { return fn(p, s) }); err != nil {
			p.err = fmt.Errorf("%s: %w", what, err)
		}
		c.ended <- p
	}()
}

// settle takes what a part found, once all before it have ended. After an error
// nothing more is taken.
func (c *checker) settle(p *part) {
	p.ended = true
	c.give(p.Reader)
	c.held += len(p.found)
	c.progress(p.rows)
	for c.err == nil && len(c.parts) > 0 && c.parts[0].ended {
		first := c.parts[0]
		c.parts = c.parts[1:]
		c.held -= len(first.found)
		c.err = first.err
		if room := maxFindings - len(c.found); len(first.found) > room {
			first.found, c.err = first.found[:room], errEnough
		}
		c.found = append(c.found, first.found...)
	}
}

// end waits for the parts that run. It gives the error of the first that
// failed, otherwise err, which is of what would have come next.
func (c *checker) end(err error) error {
	for len(c.free) < len(c.Readers) {
		c.settle(<-c.ended)
	}
	if c.err != nil {
		return c.err
	}
	return err
}

func (c *checker) progress(n int64) {
	if c.done += n; c.Progress != nil {
		c.Progress(min(c.done, c.total), c.total)
	}
}

// windows begins a part for each span of row keys (after, upTo] of a table.
// last gives the end of a span and the number of rows in it.
func (c *checker) windows(what, last string, size int, fn func(p *part, s Snapshot, after, upTo int64) error) error {
	for after := int64(0); ; {
		r, err := c.take()
		if err != nil {
			return err
		}
		from, upTo, n := after, int64(0), int64(0)
		if err := c.read(r, func(s Snapshot) error {
			return s.QueryRow(last, after, size).Scan(&upTo, &n)
		}); err != nil {
			c.give(r)
			return fmt.Errorf("%s: %w", what, err)
		}
		if n == 0 {
			c.give(r)
			return nil
		}
		c.begin(r, what, func(p *part, s Snapshot) error {
			p.rows = n
			return fn(p, s, from, upTo)
		})
		after = upTo
	}
}

func (p *part) add(what, where, format string, args ...any) error {
	return p.addRow(0, mends(what), what, where, format, args...)
}

func (p *part) addRow(row int64, mends bool, what, where, format string, args ...any) error {
	return p.note(Finding{What: what, Where: where, Detail: fmt.Sprintf(format, args...), Mends: mends, Row: row})
}

// note keeps one finding more than are taken, so that it is seen that there are
// more.
func (p *part) note(f Finding) error {
	p.found = append(p.found, f)
	if len(p.found) > maxFindings {
		return errEnough
	}
	return nil
}
