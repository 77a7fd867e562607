package bars

import (
	"fmt"
	"strings"
	"time"

	"mailcote/engine"
	"mailcote/engine/progress"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

func sum(a engine.AccountProgress) (done, total int64) {
	for _, m := range a.Mailboxes {
		done += m.Done
		total += m.Total
	}
	return done, total
}

// accountWords says in a few words what an account does.
func accountWords(a engine.AccountProgress, done, total int64) string {
	var parts []string
	if total > 0 {
		parts = append(parts, format.Count(done)+" of "+format.Count(total))
	}
	if a.Bytes > 0 {
		parts = append(parts, format.Octets(a.Bytes))
	}
	switch state := voice.Line(string(a.State)); {
	case !a.Until.IsZero() && a.Until.After(time.Now()):
		parts = append(parts, fmt.Sprintf("%s until %s: %s", state, a.Until.Local().Format("15:04:05"),
			voice.Line(a.Note)))
	case a.State == progress.Syncing && done >= total && a.Unindexed > 0:
		parts = append(parts, "making "+format.Plural(a.Unindexed, "message", "messages")+" searchable")
	case a.State == progress.Syncing && done >= total && a.Outdated > 0:
		parts = append(parts, "reading "+format.Plural(a.Outdated, "message", "messages")+" again")
	case a.Note != "" && a.State != progress.Syncing:
		parts = append(parts, state+": "+voice.Line(a.Note))
	case a.State != progress.Syncing:
		parts = append(parts, state)
	}
	return strings.Join(parts, " · ")
}

// barWords is what an account does in the room beside its bar. What matters less
// goes first where the room is small: why it waits stays.
func barWords(a engine.AccountProgress, done, total int64, p pace, room int) string {
	whole := accountWords(a, done, total)
	all := []string{whole}
	switch note := clauseOf(a.Note); {
	case a.State == progress.Syncing && total > 0 && done < total:
		count := format.Count(done) + " of " + format.Count(total)
		rate, left := p.words(total - done)
		all = []string{whole + rate + left, count + rate + left, count + rate, count}
	case a.State == progress.Done:
		did := format.Did(a.Fetched, a.Bytes, a.Gone, a.Flags)
		all = []string{whole + ": " + did, did, whole}
	case note != "":
		all = append(all, note+" until "+a.Until.Local().Format("15:04:05"), note)
		if a.Until.IsZero() {
			all = []string{whole, note}
		}
	}
	for _, words := range all {
		if voice.Width(words) <= room {
			return words
		}
	}
	return voice.Clip(all[len(all)-1], max(room, 1))
}

// clauseOf is a note without the name of the step that it begins with.
func clauseOf(note string) string {
	note = voice.Line(note)
	if step, rest, ok := strings.Cut(note, ": "); ok && !strings.Contains(step, " ") {
		return rest
	}
	return note
}

// paceTime is how much of the past says how fast an account is.
const paceTime = 10 * time.Second

// pace is how fast something was done lately.
type pace struct{ samples []sample }

type sample struct {
	at   time.Time
	done int64
}

func (p *pace) add(at time.Time, done int64) {
	if n := len(p.samples); n > 0 && done < p.samples[n-1].done { // it began anew
		p.samples = nil
	}
	p.samples = append(p.samples, sample{at, done})
	for len(p.samples) > 2 && at.Sub(p.samples[1].at) >= paceTime {
		p.samples = p.samples[1:]
	}
}

// words say how many a second are done and how long the rest will take. Both are
// empty until something has moved.
func (p pace) words(rest int64) (rate, left string) {
	if len(p.samples) < 2 {
		return "", ""
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if last.done == first.done || seconds < 0.3 {
		return "", ""
	}
	speed := float64(last.done-first.done) / seconds
	rate = fmt.Sprintf(" · %.1f/s", speed)
	if speed >= 10 {
		rate = " · " + format.Count(int64(speed)) + "/s"
	}
	switch s := float64(rest) / speed; {
	case s < 90:
		left = fmt.Sprintf(" · %.0f s left", max(s, 1))
	case s < 90*60:
		left = fmt.Sprintf(" · %.0f min left", s/60)
	default:
		left = fmt.Sprintf(" · %.0f h left", s/3600)
	}
	return rate, left
}

// lines prints progress where bars cannot be drawn.
type lines struct {
	voice   *voice.Voice
	o       Options
	started time.Time
	last    map[string]string
}

func (l *lines) print() {
	for _, a := range l.o.Snapshot() {
		done, total := sum(a)
		words := accountWords(a, done, total)
		if words == "" || l.o.Lasting && words == l.last[a.Account] {
			continue
		}
		l.last[a.Account] = words
		l.voice.Note("%s %s: %s", time.Now().Format("15:04:05"), voice.Line(a.Account), words)
	}
}
