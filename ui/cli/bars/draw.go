package bars

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"mailcote/engine"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

const (
	nameWidth = 22
	barWidth  = 24 // of a terminal that is wide
	narrowBar = 14
	narrow    = 100             // columns, below which a terminal is not wide
	maxBars   = 8               // mailboxes shown at once
	linger    = 3 * time.Second // a mailbox that stands still loses its bar
)

// drawing is the bars of one terminal. One goroutine uses it.
type drawing struct {
	o         Options
	container *mpb.Progress
	accounts  map[string]*row
	mailboxes map[string]*row // by account and path
	order     int
	room      int // for the words beside a bar
}

// row is a bar with its words.
type row struct {
	bar   *mpb.Bar
	words atomic.Pointer[string]
	done  int64
	total int64
	moved time.Time
	pace  pace
}

func newDrawing(w io.Writer, o Options) *drawing {
	if o.columns == 0 {
		o.columns = 80
	}
	width := barWidth
	if o.columns < narrow {
		width = narrowBar
	}
	return &drawing{o: o, accounts: map[string]*row{}, mailboxes: map[string]*row{},
		room:      o.columns - nameWidth - width - 4, // blanks around the bar, and the last column
		container: mpb.New(mpb.WithOutput(w), mpb.WithWidth(width), mpb.WithRefreshRate(look))}
}

func (d *drawing) add(name string, filler mpb.BarFillerBuilder, priority int) *row {
	r := &row{}
	empty := ""
	r.words.Store(&empty)
	label := voice.Fit(voice.Line(name), nameWidth)
	r.bar = d.container.New(0, filler, mpb.BarPriority(priority),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return label + " " })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + *r.words.Load() })))
	return r
}

// show moves a bar. It was made without a total: a bar that reached a total
// could not grow again.
func (r *row) show(done, total int64, words string) {
	if done != r.done || total != r.total {
		r.moved = time.Now()
	}
	r.done, r.total = done, total
	r.words.Store(&words)
	r.bar.SetTotal(max(total, done, 1), false)
	r.bar.SetCurrent(done)
}

func (d *drawing) update() {
	for _, a := range d.o.Snapshot() {
		d.order += 2
		r := d.account(a)
		for _, m := range a.Mailboxes {
			d.mailbox(a.Account, m)
		}
		d.move(r, a)
	}
}

// account is the bar of an account; it is made when there is none.
func (d *drawing) account(a engine.AccountProgress) *row {
	r := d.accounts[a.Account]
	if r == nil {
		r = d.add(a.Account, style(), 1_000_000+len(d.accounts))
		d.accounts[a.Account] = r
	}
	return r
}

// move shows in an account's bar how far it is.
func (d *drawing) move(r *row, a engine.AccountProgress) {
	done, total := sum(a)
	r.pace.add(time.Now(), done)
	r.show(done, total, barWords(a, done, total, r.pace, d.room))
}

func (d *drawing) mailbox(account string, m engine.MailboxProgress) {
	key := account + "\x00" + m.Path
	r := d.mailboxes[key]
	finished := m.Done >= m.Total
	switch {
	case r == nil && (finished || len(d.mailboxes) >= maxBars || m.Done == 0):
		return
	case r == nil:
		r = d.add("  "+m.Path, style(), d.order)
		d.mailboxes[key] = r
	case finished && r.done < m.Total: // one picture of a full bar
	case finished || time.Since(r.moved) > linger:
		r.bar.Abort(true)
		delete(d.mailboxes, key)
		return
	}
	r.show(m.Done, m.Total, format.Count(m.Done)+" of "+format.Count(m.Total))
}

// last shows how far the accounts came, for as long as a picture takes: otherwise
// the last one would be that of a moment before the end.
func (d *drawing) last() {
	d.dropMailboxes()
	moved := false
	for _, r := range d.accounts {
		moved = moved || r.done > 0
	}
	if !moved {
		return
	}
	for _, a := range d.o.Snapshot() {
		d.move(d.account(a), a)
	}
	timer := time.NewTimer(2 * look)
	defer timer.Stop()
	<-timer.C
}

// dropMailboxes takes the bars of mailboxes away and waits until none is drawn
// any more: one that goes together with its account's may stay a picture longer.
func (d *drawing) dropMailboxes() {
	for _, r := range d.mailboxes {
		r.bar.Abort(true)
	}
	for _, r := range d.mailboxes {
		r.bar.Wait()
	}
	clear(d.mailboxes)
}

func (d *drawing) close() {
	d.dropMailboxes()
	for _, r := range d.accounts {
		r.bar.Abort(true)
	}
	d.container.Wait()
}

func style() mpb.BarFillerBuilder {
	return mpb.BarStyle().Lbound("▕").Filler("█").Tip("█").Padding(" ").Rbound("▏")
}
