package cli

import (
	"time"

	"mailcote/ui/format"
)

// following shows on a terminal how far a long piece of work is, and how long
// the rest takes. nil: there is no terminal.
func (a *app) following(done, what string) func(n, total int64) {
	return a.showing(func(n, total int64, _ int) string {
		return done + " " + format.Count(n) + " of " + format.Count(total) + what
	})
}

// checking is following for checks of the store, one after another. They count
// rows, and a message has several, so that it shows the part that is done.
func (a *app) checking() func(n, total int64) {
	return a.showing(func(_, _ int64, nth int) string {
		if nth > 1 {
			return "Checking it again"
		}
		return "Checking the store"
	})
}

// showing is following with words for how far the nth piece of work is.
func (a *app) showing(words func(n, total int64, nth int) string) func(n, total int64) {
	if !a.voice.Bars() {
		return nil
	}
	var began, shown time.Time
	var last int64
	nth := 0
	return func(n, total int64) {
		now := time.Now()
		if nth == 0 || n < last { // other work begins
			nth++
			began, shown = now, time.Time{}
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
		a.voice.Over("%s (%d %%%s)", words(n, total, nth), 100*n/total, left)
	}
}

// ended takes away a line that is written over.
func (a *app) ended() {
	if a.voice.Bars() {
		a.voice.Over("")
	}
}
