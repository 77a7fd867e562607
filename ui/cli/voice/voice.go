package voice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// Voice is the input and the outputs of a process. Any goroutine may call its
// methods.
type Voice struct {
	in      *os.File
	out     io.Writer
	err     io.Writer
	OutTTY  bool // stdout is a terminal
	ErrTTY  bool // stderr is a terminal
	inTTY   bool
	NoColor bool // --no-color
	Quiet   bool // --quiet: only data and errors
	dumb    bool // NO_COLOR or TERM=dumb
	columns int  // of stdout's terminal; 0: no limit
	rows    int  // of stdout's terminal; 0: no limit

	errColumns int // of stderr's terminal; 0: no limit

	// one writer at a time, so that lines stay whole; a program that does not
	// read stdout holds up nobody who writes to stderr
	outMu, errMu sync.Mutex
}

// New makes a voice of three files.
func New(in, out, err *os.File) *Voice {
	v := &Voice{in: in, out: out, err: err, inTTY: isTerminal(in), OutTTY: isTerminal(out), ErrTTY: isTerminal(err)}
	v.dumb = os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	if v.OutTTY {
		if w, h, err := term.GetSize(int(out.Fd())); err == nil {
			v.columns, v.rows = w, h
		}
	}
	if v.ErrTTY {
		if w, _, err := term.GetSize(int(err.Fd())); err == nil {
			v.errColumns = w
		}
	}
	return v
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Bars reports whether bars can be drawn: stderr is a terminal that can move
// its cursor.
func (v *Voice) Bars() bool { return v.ErrTTY && os.Getenv("TERM") != "dumb" && !v.Quiet }

// ErrColumns is how wide stderr's terminal is; 0: it is none, or does not say.
func (v *Voice) ErrColumns() int { return v.errColumns }

// CanAsk reports whether somebody can be asked.
func (v *Voice) CanAsk() bool { return v.inTTY }

// Out is stdout, for data that is streamed.
func (v *Voice) Out() io.Writer { return lockedWriter{&v.outMu, &v.out} }

// Err is stderr, for a wire trace.
func (v *Voice) Err() io.Writer { return lockedWriter{&v.errMu, &v.err} }

type lockedWriter struct {
	mu *sync.Mutex
	w  *io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return (*l.w).Write(p)
}

// Divert sends what is said on stderr through w until restore is called, while
// bars are drawn.
func (v *Voice) Divert(w io.Writer) (restore func()) {
	v.errMu.Lock()
	defer v.errMu.Unlock()
	before := v.err
	v.err = w
	return func() {
		v.errMu.Lock()
		defer v.errMu.Unlock()
		v.err = before
	}
}

// Say prints data, with a line break.
func (v *Voice) Say(format string, args ...any) error {
	_, err := fmt.Fprintf(v.Out(), format+"\n", args...)
	return wrapped(err)
}

// Screen replaces what the terminal shows by lines of clean text, as much as
// fits.
func (v *Voice) Screen(lines []string) error {
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if v.rows > 1 && i == v.rows-1 {
			break
		}
		if v.columns > 0 {
			line = Clip(line, v.columns)
		}
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(v.Out(), b.String())
	return wrapped(err)
}

// Note says something about the work on stderr, unless Quiet.
func (v *Voice) Note(format string, args ...any) {
	if !v.Quiet {
		v.say(fmt.Sprintf(format, args...))
	}
}

// Over replaces what Over said before on stderr; "" removes it. Only for use
// where Bars is true.
func (v *Voice) Over(format string, args ...any) {
	_, _ = fmt.Fprintf(v.Err(), "\r\x1b[K"+format, args...) // there is nobody to tell
}

// Warn prints a warning on stderr, even when Quiet.
func (v *Voice) Warn(format string, args ...any) {
	v.say("mailcote: " + v.paint(v.ErrTTY, yellow, "warning") + ": " + fmt.Sprintf(format, args...))
}

// Fail prints an error.
func (v *Voice) Fail(err error) {
	v.say(v.paint(v.ErrTTY, red, "mailcote") + ": " + Line(strings.TrimSpace(err.Error())))
}

// say prints clean text on stderr. A terminal gets whole words, with an indent
// from the second line on. Text that has lines of its own stays as it is.
func (v *Voice) say(text string) {
	if !strings.Contains(text, "\n") {
		text = strings.Join(wrap(v.errColumns, "", len(gap), text), "\n")
	}
	_, _ = fmt.Fprintln(v.Err(), text) // there is nobody to tell
}

// JSON prints one value as one line on stdout. Characters that a terminal would
// obey or hide are written as \u escapes, so the value stays the same.
func (v *Voice) JSON(value any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err := io.WriteString(v.Out(), escapeJSON(b.String()))
	return wrapped(err)
}

func escapeJSON(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf && hidden(r) || r == 0x7f }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r != 0x7f && (r < utf8.RuneSelf || !hidden(r)):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func wrapped(err error) error {
	if err != nil {
		return fmt.Errorf("write to stdout: %w", err)
	}
	return nil
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	faint  = "2"
)

func (v *Voice) paint(tty bool, code, s string) string {
	if !tty || v.NoColor || v.dumb {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Mark is the sign of a step that worked or failed.
func (v *Voice) Mark(ok bool) string {
	if ok {
		return v.paint(v.ErrTTY, green, "✓")
	}
	return v.paint(v.ErrTTY, red, "✗")
}

// Strong highlights a word on stdout.
func (v *Voice) Strong(s string) string { return v.paint(v.OutTTY, bold, s) }

// Faint dims a word on stdout.
func (v *Voice) Faint(s string) string { return v.paint(v.OutTTY, faint, s) }
