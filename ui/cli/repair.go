package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// repairView is the summary of check --repair, in JSON.
type repairView struct {
	Type      string        `json:"type"`      // always "repair"
	Found     int           `json:"found"`     // things that were wrong
	Mended    int           `json:"mended"`    // that are not any more
	Left      int           `json:"left"`      // that still are
	Refetched int64         `json:"refetched"` // messages that were downloaded again
	Seconds   answer.Number `json:"seconds"`   // that it took
}

// rebuildView is the summary of check --rebuild, in JSON.
type rebuildView struct {
	Type     string        `json:"type"`     // always "rebuild"
	What     string        `json:"what"`     // views, search or threads
	Messages int64         `json:"messages"` // of how many it was made again
	Seconds  answer.Number `json:"seconds"`  // that it took
}

// given counts which of some flags were given.
func given(c *cobra.Command, names ...string) (n int) {
	for _, name := range names {
		if c.Flags().Changed(name) {
			n++
		}
	}
	return n
}

// repairable says how many findings a repair mends.
func repairable(found []storage.Finding) string {
	n := 0
	for _, f := range found {
		if f.Mends {
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case len(found):
		return " mailcote check --repair mends what the server still has."
	}
	return fmt.Sprintf(" mailcote check --repair mends %d of them, with what the server still has.", n)
}

// repair mends the store and prints what it could not mend.
func (a *app) repair(ctx context.Context) error {
	start := time.Now()
	var done engine.Repaired
	err := a.tending(ctx, "mailcote check --repair", func(ctx context.Context, s *storage.Store,
		e *engine.Engine) error {
		o := engine.RepairOptions{Checked: a.checking()}
		if err := s.Read(ctx, func(r *storage.Reader) error {
			all, err := r.Accounts()
			for _, one := range all {
				if one.PauseClass == class.Manual {
					a.voice.Note("%s is not asked: %s", voice.Line(one.Name), voice.Line(pausedStep(one)))
					continue
				}
				o.Accounts = append(o.Accounts, one.ID)
			}
			return err
		}); err != nil {
			return err
		}
		o.Sync = func(ctx context.Context) []engine.Summary {
			a.ended()
			return a.syncNow(ctx, e, o.Accounts, nil)
		}
		var err error
		done, err = e.Repair(ctx, o)
		return err
	})
	a.ended()
	for _, f := range done.Left {
		if err := a.printFinding(f); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	v := repairView{Type: "repair", Found: len(done.Found), Left: len(done.Left),
		Seconds: answer.Number(time.Since(start).Seconds())}
	for _, f := range done.Found {
		if !slices.ContainsFunc(done.Left, func(l storage.Finding) bool {
			return l.What == f.What && l.Where == f.Where
		}) {
			v.Mended++
		}
	}
	apart := 0 // accounts that were not compared whole
	for _, s := range done.Summaries {
		v.Refetched += s.Fetched
		if s.Result == engine.Complete || s.Interrupted {
			continue
		}
		apart++
		if failed := viewFailed(s); a.json && failed != nil {
			failed.Hint = answer.Text(thenRepair(s.NextStep))
			if err := a.voice.JSON(*failed); err != nil {
				return err
			}
		}
	}
	if a.json {
		if err := a.voice.JSON(v); err != nil {
			return err
		}
	}
	a.voice.Note("%s", v.words(apart))
	for _, s := range done.Summaries { // last, as they say what is to be done
		if s.Result != engine.Complete && !s.Interrupted {
			a.voice.Warn("%s was not compared whole, so what is missing of it may still be: %s", voice.Line(s.Account),
				voice.Line(joined(s.Result+after(classOf(s)+": ", s.Detail), thenRepair(s.NextStep))))
		}
	}
	if status := combined(done.Summaries); status != Done && len(done.Summaries) > 0 {
		return &ended{status}
	}
	if v.Left > 0 {
		return &ended{Failed}
	}
	return nil
}

// words say what a repair did. apart is how many accounts were not compared with
// their servers.
func (v repairView) words(apart int) string {
	text := fmt.Sprintf("%s: %d mended, %d left; %s fetched again in %s.", format.Plural(int64(v.Found), "finding",
		"findings"), v.Mended, v.Left, format.Plural(v.Refetched, "message", "messages"),
		format.Seconds(float64(v.Seconds)))
	if v.Found == 0 {
		text = "The store is sound. " + text
	}
	if apart > 0 {
		text = "Not done: " + format.Plural(int64(apart), "account was", "accounts were") + " not compared. " + text
	}
	return text
}

// thenRepair adds to what can be done about an account that the repair is to be
// made again.
func thenRepair(step string) string {
	const again = "mailcote check --repair"
	if step == "" {
		return again
	}
	return strings.TrimRight(step, ".") + ", then " + again
}

// rebuild makes derived rows again.
func (a *app) rebuild(ctx context.Context, what engine.Rebuilding) error {
	switch what {
	case engine.RebuildViews, engine.RebuildSearch, engine.RebuildThreads:
	default:
		return usagef("--rebuild makes views, search or threads again, not %q", string(what))
	}
	start := time.Now()
	var n int64
	err := a.tending(ctx, "mailcote check --rebuild", func(ctx context.Context, _ *storage.Store,
		e *engine.Engine) (err error) {
		n, err = e.Rebuild(ctx, what, a.following("Made again", " messages"))
		return err
	})
	a.ended()
	if err != nil {
		return err
	}
	v := rebuildView{"rebuild", string(what), n, answer.Number(time.Since(start).Seconds())}
	if a.json {
		return a.voice.JSON(v)
	}
	a.voice.Note("Made again: %s of %s, in %s.", what, format.Plural(n, "message", "messages"),
		format.Seconds(float64(v.Seconds)))
	return nil
}
