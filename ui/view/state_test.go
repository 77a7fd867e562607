package view

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mailcote/engine/progress"
)

var update = flag.Bool("update", false, "write docs/states.md")

var now = time.Date(2026, 11, 26, 2, 44, 46, 0, time.Local)

// well are the facts of an account that is up to date.
func well(change func(*Facts)) Facts {
	f := Facts{Now: now, Pass: Pass{Began: now.Add(-20 * time.Second), Ended: now.Add(-10 * time.Second),
		Result: "complete"},
		Stored: 5010, Remote: 5010, Owned: true, Interval: time.Minute, Live: progress.Done}
	if change != nil {
		change(&f)
	}
	return f
}

// alone are the facts of an account that no process looks after.
func alone(change func(*Facts)) Facts {
	return well(func(f *Facts) {
		f.Owned, f.Interval, f.Live = false, 0, ""
		if change != nil {
			change(f)
		}
	})
}

// silent are the facts of an account whose agent does not answer.
func silent(change func(*Facts)) Facts {
	return alone(func(f *Facts) {
		f.Owned, f.Silent = true, true
		if change != nil {
			change(f)
		}
	})
}

// short is an account that lacks messages.
func short(f *Facts) { f.Stored, f.Missing, f.Unsettled = 2116, 2894, 3 }

// stateCase is a row of the test and an example of the document.
type stateCase struct {
	name  string
	facts Facts
	want  string // Standing.String
	state State
}

func stateCases() []stateCase {
	soon, past := now.Add(34*time.Second), now.Add(-time.Second)
	do := func(all ...func(*Facts)) func(*Facts) {
		return func(f *Facts) {
			for _, change := range all {
				change(f)
			}
		}
	}
	live := func(state progress.State, note string, until time.Time) func(*Facts) {
		return func(f *Facts) { f.Live, f.Note, f.Until = state, note, until }
	}
	open := func(f *Facts) { f.Pass = Pass{Began: now.Add(-time.Minute)} }
	ended := func(result, detail string) func(*Facts) {
		return func(f *Facts) { f.Pass.Result, f.Pass.Detail = result, detail }
	}
	held := func(until time.Time, offline bool) func(*Facts) {
		return func(f *Facts) { f.Wait = Wait{Until: until, Cause: "connection refused", Offline: offline} }
	}
	paused := func(f *Facts) { f.PausedFor = "the password was refused" }
	apart := func(f *Facts) { f.Quarantined = 2 }
	tasks := func(f *Facts) { f.Unfinished = 1 }
	full := func(f *Facts) { f.NoRoom = "the disk is full; resumes by itself" }
	ago := func(d time.Duration) func(*Facts) { return func(f *Facts) { f.Pass.Ended = now.Add(-d) } }
	never := func(f *Facts) { f.Pass = Pass{} }
	asOf := " (as of 2026-11-26 02:44)"
	return []stateCase{
		{"an agent runs, all is here", well(nil), "up to date", OK},
		{"just younger than two intervals", well(ago(2*time.Minute - 1)), "up to date", OK},
		{"two intervals old", well(ago(2 * time.Minute)), "late: the last pass ended 2026-11-26 02:42", Late},
		{"a long interval", well(do(ago(2*time.Minute), func(f *Facts) { f.Interval = time.Hour })), "up to date", OK},
		{"no agent, all was here", alone(nil), "as of 2026-11-26 02:44", OK},
		{"no agent, a year ago", alone(ago(365 * 24 * time.Hour)), "as of 2025-11-26 02:44", OK},

		{"the server counts a message that it never lists", well(func(f *Facts) { f.More = 1 }),
			"up to date: the server counts 1 more than it lists", OK},
		{"it counts fewer, no agent", alone(func(f *Facts) { f.Fewer = 1200 }),
			"as of 2026-11-26 02:44: the server counts 1,200 fewer than it lists", OK},
		{"both, in two mailboxes", well(func(f *Facts) { f.More, f.Fewer = 3, 2 }),
			"up to date: the server counts 3 more than it lists, elsewhere 2 fewer", OK},
		{"paused", well(paused), "paused: the password was refused", Paused},
		{"paused, no agent", alone(paused), "paused: the password was refused", Paused},
		{"paused while it worked", well(do(paused, live(progress.Syncing, "", now))),
			"paused: the password was refused", Paused},

		{"connecting", well(do(open, live(progress.Connecting, "", time.Time{}))), "syncing", Syncing},
		{"signing in", well(do(open, live(progress.SigningIn, "the server takes its time", time.Time{}))),
			"syncing: the server takes its time", Syncing},
		{"the first sync under way", well(do(open, short, live(progress.Syncing, "", time.Time{}))),
			"syncing: 2,116 of 5,010 messages", Syncing},
		{"another command syncs", alone(do(open, short, func(f *Facts) {
			f.Owned = true
		})), "syncing: 2,116 of 5,010 messages", Syncing},
		{"the agent does not answer, all was here", silent(nil), "as of 2026-11-26 02:44", OK},
		{"the agent does not answer, the first sync was under way", silent(do(open, short)),
			"syncing (as of 2026-11-26 02:43): 2,116 of 5,010 messages", Syncing},
		{"the agent does not answer, paused", silent(paused), "paused: the password was refused", Paused},
		{"the agent has just begun a pass", well(open), "syncing", Syncing},

		{"the agent waits", well(do(open, live(progress.Waiting, "refused", soon))),
			"waiting until 02:45:20: refused", Waiting},
		{"the agent waits for room", well(live(progress.Waiting, "memory is short", time.Time{})),
			"waiting: memory is short", Waiting},
		{"the agent is offline", well(live(progress.Offline, "no route", soon)), "offline until 02:45:20: no route",
			Offline},
		{"no room on the disk", well(full), "waiting: the disk is full; resumes by itself", Waiting},
		{"no room, but nobody writes", alone(full), "as of 2026-11-26 02:44", OK},
		{"a breaker between two passes", well(held(soon, false)), "waiting until 02:45:20: connection refused",
			Waiting},
		{"a breaker of the network", well(held(soon, true)), "offline until 02:45:20: connection refused", Offline},
		{"a breaker whose time is over", well(held(past, true)), "up to date", OK},
		{"a breaker, no agent", alone(held(soon, false)), "waiting" + asOf + ": connection refused", Waiting},
		{"offline, no agent", alone(held(soon, true)), "offline" + asOf + ": connection refused", Offline},
		{"a wait before the first pass ended", alone(do(open, held(soon, false))),
			"waiting (as of 2026-11-26 02:43): connection refused", Waiting},

		{"never synced", alone(never), "not synced yet", New},
		{"never synced, an agent runs", well(never), "not synced yet", New},
		{"killed in its first sync", alone(do(open, short)),
			"interrupted (as of 2026-11-26 02:43): 2,116 of 5,010 messages", Interrupted},
		{"Ctrl-C in its first sync", alone(do(ended("interrupted", "interrupted"), short)), "interrupted" + asOf +
			": 2,116 of 5,010 messages", Interrupted},
		{"interrupted with everything here", alone(ended("interrupted", "interrupted")), "interrupted" + asOf,
			Interrupted},

		{"the last pass failed", well(ended("failed", "no route to host")), "failed: no route to host", Failed},
		{"the last pass failed, no agent", alone(ended("failed", "no route to host")), "failed" + asOf +
			": no route to host", Failed},
		{"partial for a reason of its own", well(ended("partial", "the server lists too many mailboxes")),
			"incomplete: the server lists too many mailboxes", Partial},
		{"partial with messages missing", well(do(ended("partial", "interrupted"), short)),
			"incomplete: 2,116 of 5,010 messages", Partial},
		{"quarantined", well(apart), "incomplete: 2 quarantined", Partial},
		{"quarantined, no agent", alone(apart), "incomplete" + asOf + ": 2 quarantined", Partial},
		{"quarantined and missing", well(do(apart, short)), "incomplete: 2,116 of 5,010 messages, 2 quarantined",
			Partial},
		{"a mailbox is not complete", well(func(f *Facts) {
			f.Unsettled = 1
		}), "incomplete: 1 mailbox not complete", Partial},
		{"tasks are left", well(tasks), "incomplete: 1 task to do", Partial},
		{"quarantined and old", well(do(apart, ago(time.Hour))), "incomplete: 2 quarantined", Partial},
	}
}

// TestOf is the rule, row by row.
func TestOf(t *testing.T) {
	for _, c := range stateCases() {
		got := Of(c.facts)
		if got.String() != c.want || got.State != c.state {
			t.Errorf("%s: %s %q, want %s %q", c.name, got.State, got, c.state, c.want)
		}
		green := strings.HasPrefix(c.want, "up to date")
		if got.UpToDate() != green {
			t.Errorf("%s: up to date: %v", c.name, got.UpToDate())
		}
	}
}

// TestUpToDate takes one condition after another away from an account that is up to date, in each state of its worker.
func TestUpToDate(t *testing.T) {
	spoil := map[string]func(*Facts){
		"paused":       func(f *Facts) { f.PausedFor = "by hand" },
		"no agent":     func(f *Facts) { f.Interval = 0 },
		"no pass":      func(f *Facts) { f.Pass = Pass{} },
		"open":         func(f *Facts) { f.Pass.Ended = time.Time{} },
		"partial":      func(f *Facts) { f.Pass.Result = "partial" },
		"failed":       func(f *Facts) { f.Pass.Result = "failed" },
		"interrupted":  func(f *Facts) { f.Pass.Result = "interrupted" },
		"missing":      func(f *Facts) { f.Missing = 1 },
		"unsettled":    func(f *Facts) { f.Unsettled = 1 },
		"quarantined":  func(f *Facts) { f.Quarantined = 1 },
		"unfinished":   func(f *Facts) { f.Unfinished = 1 },
		"waits":        func(f *Facts) { f.Wait.Until = now.Add(1) },
		"rests":        func(f *Facts) { f.NoRoom = "full" },
		"old":          func(f *Facts) { f.Pass.Ended = now.Add(-time.Hour) },
		"works":        func(f *Facts) { f.Live = progress.Syncing },
		"waiting live": func(f *Facts) { f.Live = progress.Waiting },
		"offline live": func(f *Facts) { f.Live = progress.Offline },
	}
	for _, state := range []progress.State{"", progress.Idle, progress.Done, progress.Partial, progress.Failed,
		progress.Paused} {
		good := well(func(f *Facts) { f.Live = state })
		if s := Of(good); !s.UpToDate() {
			t.Errorf("%q: %s", state, s)
		}
		for name, change := range spoil {
			bad := good
			change(&bad)
			if s := Of(bad); s.UpToDate() {
				t.Errorf("%s, %q: up to date", name, state)
			}
		}
	}
}

const statesDoc = "../../docs/states.md"

// TestStatesDoc: docs/states.md says what the code does.
func TestStatesDoc(t *testing.T) {
	want := statesDocument()
	if *update {
		if err := os.WriteFile(statesDoc, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(statesDoc)
	if err != nil || string(got) != want {
		t.Fatalf("docs/states.md is not what the code does: go test ./ui/view -run TestStatesDoc -update (%v)", err)
	}
}

func statesDocument() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# States of an account\n")
	line("Written from the code: `go test ./ui/view -run TestStatesDoc -update`. `status`, `status --json`,")
	line("the page, `account list` and `errors` show the same state, derived by one function (`view.Of`). The")
	line("first row that holds counts.\n")
	line("| state | in words | when |\n|---|---|---|")
	for _, m := range meanings() {
		line("| `%s` | %s | %s |", m.state, m.words, m.holds)
	}
	line("\nA state names its cause, and until when, where these are known. In JSON they are `cause` and `until`;")
	line("`up_to_date` is true in the last row only, and only while an agent answers. When none runs, or it hangs,")
	line("nothing is current but a pause: the words end in \"(as of TIME)\", `up to date` becomes \"as of TIME\", and")
	line("`as_of` has the end of the last pass, or its beginning where it was cut off. `status` says that an agent")
	line("hangs; in JSON that is `agent_error`.\n")
	line("An interval is the agent's, or the provider's least one where that is longer. Messages of mailboxes that")
	line("were never opened count with what LIST-STATUS or STATUS announced. Errors are the faults of the last 24")
	line("hours, as `mailcote errors --since 24h` lists them. Quarantined messages are counted apart.\n")
	line("## What a worker does\n")
	line("| progress | shown as |\n|---|---|")
	for _, s := range progress.States() {
		line("| %s | %s |", s, shownAs(s))
	}
	line("\n## Examples\n")
	line("| | shown |\n|---|---|")
	for _, c := range stateCases() {
		line("| %s | %s |", c.name, c.want)
	}
	return b.String()
}

// shownAs is what a worker's state leads to in a store where all is well.
func shownAs(s progress.State) string {
	if got := Of(well(func(f *Facts) { f.Live = s })).State; got != OK {
		return "`" + string(got) + "`"
	}
	return "what the store says"
}
