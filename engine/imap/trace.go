package imap

import (
	"fmt"
	"io"
)

// tracer writes the wire log. It hides what LOGIN and AUTHENTICATE send. It
// also hides what the server says meanwhile, since servers may echo it.
type tracer struct {
	w    io.Writer
	mask bool
}

func (t *tracer) client(c *command) {
	if t == nil {
		return
	}
	if c.secret {
		fmt.Fprintf(t.w, "C: %s %s ***\n", c.tag, c.name)
		return
	}
	fmt.Fprintf(t.w, "C: %q\n", c.buf)
}

func (t *tracer) server(b []byte) {
	if t.mask {
		fmt.Fprintf(t.w, "S: %d octets, masked\n", len(b))
		return
	}
	fmt.Fprintf(t.w, "S: %q\n", b)
}

func (t *tracer) masked(on bool) {
	if t != nil {
		t.mask = on
	}
}
