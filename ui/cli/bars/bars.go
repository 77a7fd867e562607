package bars

import (
	"io"
	"os"
	"sync"
	"time"

	"mailcote/engine"
	"mailcote/ui/cli/voice"
)

const (
	look      = 150 * time.Millisecond // how often bars move
	lineEvery = 10 * time.Second       // how often a plain line is due
)

// Display shows progress until Stop.
type Display struct {
	stop func()
}

// Options say how progress is shown.
type Options struct {
	Snapshot func() []engine.AccountProgress
	Plain    bool // lines even on a terminal: a wire trace is printed there too
	// The work has no end. Bars of accounts that are up to date stay. Lines are
	// printed when something changed.
	Lasting bool

	columns int // of the terminal; 0: unknown
}

// Start shows progress on stderr.
func Start(v *voice.Voice, o Options) *Display {
	end := make(chan struct{})
	var wg sync.WaitGroup
	switch {
	case v.Quiet:
	case v.Bars() && !o.Plain:
		o.columns = v.ErrColumns()
		d := newDrawing(os.Stderr, o)
		restore := v.Divert(fromLeft{d.container})
		wg.Go(func() {
			every(end, look, d.update)
			d.last()
			d.close()
			restore()
		})
	default:
		l := &lines{voice: v, o: o, started: time.Now(), last: map[string]string{}}
		wg.Go(func() { every(end, lineEvery, l.print) })
	}
	return &Display{stop: sync.OnceFunc(func() { close(end); wg.Wait() })}
}

// fromLeft starts each write at the left edge, because the terminal may have
// echoed ^C there.
type fromLeft struct{ w io.Writer }

func (f fromLeft) Write(p []byte) (int, error) {
	if _, err := f.w.Write(append([]byte("\r\x1b[K"), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Stop removes the bars. It may be called more than once.
func (d *Display) Stop() { d.stop() }

func every(end <-chan struct{}, period time.Duration, do func()) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-end:
			return
		case <-ticker.C:
			do()
		}
	}
}
