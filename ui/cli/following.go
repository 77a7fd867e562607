package cli

import (
	"time"

	"mailcote/ui/format"
)

// following shows on a terminal how far a long piece of work is, and how long
// the rest takes. nil: there is no terminal.
func (a *app) following(done, what string) func(n, total int64) {
	if !a.voice.Bars() {
		return nil
	}
	var began, shown time.Time
	var last int64
	return func(n, total int64) {
		now := time.Now()
		if began.IsZero() || n < last { // other work begins
			began = now
		}
		last = n
		if n >= total {
			a.ended()
			return
		}
		if now.Sub(shown) < 200*time.Millisecond {
			return
		}
		shown = now
		left := ""
		if past := now.Sub(began); n > 0 && past > 2*time.Second {
			left = ", " + time.Duration(float64(past)/float64(n)*float64(total-n)).Round(time.Second).String() + " left"
		}
		a.voice.Over("%s %s of %s%s (%d %%%s)", done, format.Count(n), format.Count(total), what, 100*n/total, left)
	}
}

// ended takes away a line that is written over.
func (a *app) ended() {
	if a.voice.Bars() {
		a.voice.Over("")
	}
}
