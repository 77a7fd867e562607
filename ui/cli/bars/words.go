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
	return voice.Clip(strings.Join(parts, " · "), 72)
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
