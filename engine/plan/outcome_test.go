package plan

import (
	"flag"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/storage/class"
)

var update = flag.Bool("update", false, "write testdata/outcome.txt anew")

// kind is a fault by the name that the table has for it.
type kind struct {
	name string
	Fault
}

// kinds gives every class with its policy, and what differs in a way that decides.
func kinds() []kind {
	var all []kind
	add := func(name string, said bool, v policy.Verdict) {
		all = append(all, kind{name, Fault{Verdict: v, Said: said}})
	}
	for _, p := range policy.Policies() {
		v := policy.Verdict{Class: p.Class, Scope: p.Scope, Wait: p.Wait, Do: p.Do, Tries: p.Tries}
		add(string(p.Class), false, v)
		switch p.Class {
		case class.Quota:
			add("quota, said", true, v)
			v.Crowded = true
			add("quota, crowded", true, v)
			v.Crowded, v.Tries, v.Then = false, 3, class.Auth
			add("quota, then auth", true, v)
		case class.Protocol:
			add("protocol, BAD", true, v)
			v.Lives = true
			add("protocol, NO", true, v)
		case class.Mailbox:
			add("mailbox, words", true, policy.OfMailbox(v.Wait))
		}
	}
	return all
}

var (
	phases = []string{policy.PhaseConnect, policy.PhaseSignIn, policy.PhaseDiscover, policy.PhaseOpen, policy.PhaseList,
		policy.PhaseFlags, policy.PhaseFetch, policy.PhaseStore}
	works = []Work{Discovery, FolderSync, Interactive, NoTask}
)

const (
	many    = 11               // attempts: more than any verdict allows
	backOff = 10 * time.Second // of the account or the host
)

// start is the time of every situation.
func start() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// met runs a situation as a worker does: the account or the host backs off first, and then says until when.
func met(f Fault, s Situation) Consequence {
	s.Now, s.Delay = start(), func(n int) time.Duration { return time.Duration(n) * time.Second }
	if c := Outcome(f, s); c.AccountWide || f.Phase == policy.PhaseConnect {
		s.Until = s.Now.Add(backOff)
	}
	return Outcome(f, s)
}

// String is a consequence in few words. Throttle and Record are left out where they are true.
func (c Consequence) String() string {
	words := []string{string(c.Task)}
	if c.Task == Leave {
		words[0] = "-"
	}
	if c.Task == Retry || c.Task == Delay {
		words[0] += " " + c.At.Sub(start()).String()
	}
	if c.Class != "" {
		words = append(words, "as "+string(c.Class))
	}
	for _, one := range []struct {
		is   bool
		word string
	}{
		{c.AccountWide, "account"}, {c.Short, "short"}, {c.Held, "held"}, {c.Last, "last"}, {c.Pause, "pause"},
		{c.Rest, "rest"},
		{c.Relist, "relist"}, {c.Refused, "refused"}, {c.CoolDown, "cool"}, {c.Drop, "drop"}, {c.Retire, "retire"},
		{c.AwaitRoom, "room"}, {c.End, "end"}, {!c.Record, "unrecorded"}, {!c.Throttle, "unthrottled"},
	} {
		if one.is {
			words = append(words, one.word)
		}
	}
	return strings.Join(words, " ")
}

// table gives the rows: a kind of fault, the work, the phases that it is the same in, and what follows at the
// first attempt, at one beyond all limits, and at one that progressed. A class that stays is not told.
func table() string {
	var out strings.Builder
	for _, k := range kinds() {
		for _, w := range works {
			run, once := rows(k, w, false), rows(k, w, true)
			if slices.Equal(run, once) {
				run, once = nil, nil
				for _, row := range rows(k, w, false) {
					fmt.Fprintf(&out, "%-16s | %-11s | both | %s\n", k.name, w, row)
				}
			}
			for _, row := range run {
				fmt.Fprintf(&out, "%-16s | %-11s | run  | %s\n", k.name, w, row)
			}
			for _, row := range once {
				fmt.Fprintf(&out, "%-16s | %-11s | once | %s\n", k.name, w, row)
			}
		}
	}
	return out.String()
}

func rows(k kind, w Work, once bool) []string {
	var all, where []string
	for _, phase := range phases {
		f := k.Fault
		f.Phase = phase
		row := ""
		for _, s := range []Situation{{Tries: 1, Streak: 1}, {Tries: many, Streak: many},
			{Tries: 1, Progressed: true}} {
			s.Work, s.Once = w, once
			row += fmt.Sprintf(" | %-30s", strings.Replace(met(f, s).String(), " as "+string(k.Class), "", 1))
		}
		if i := slices.Index(all, row); i >= 0 {
			where[i] += " " + phase
			continue
		}
		all, where = append(all, row), append(where, phase)
	}
	for i, row := range all {
		if where[i] = strings.Replace(where[i], strings.Join(phases[3:], " "), "behind it", 1); len(all) == 1 {
			where[i] = "everywhere"
		}
		all[i] = strings.TrimRight(fmt.Sprintf("%-34s%s", where[i], row), " ")
	}
	return all
}

// TestOutcome: class × phase × work × progress × once, a line a row.
func TestOutcome(t *testing.T) {
	const head = "# fault | work | run, once | phases | first attempt | after all attempts | an attempt that " +
		"progressed\n" +
		"# Behind it: open, list, flags, fetch and store. A delay of n seconds is that after n attempts in a row;\n" +
		"# the account and the host back off for 10s.\n"
	path, got := filepath.Join("testdata", "outcome.txt"), head+table()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	rows := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(rows) || rows[i] != line {
			t.Fatalf("line %d of %s: got\n%s", i+1, path, line)
		}
	}
	t.Fatalf("%s has more lines", path)
}

// situations gives every fault in every situation.
func situations() iter.Seq2[Fault, Situation] {
	return func(yield func(Fault, Situation) bool) {
		for _, k := range kinds() {
			for _, phase := range phases {
				for _, w := range works {
					for bits := range 1 << 10 {
						on := func(n int) bool { return bits>>n&1 == 1 }
						f, s := k.Fault, Situation{Work: w, Tries: 1, Streak: 1, Once: on(0), Progressed: on(1),
							Elsewhere: on(2), GaveUp: on(3), Probing: on(4), Relisted: on(5), Stopped: on(6),
							NotTried: on(7), NoRoom: on(8)}
						f.Phase = phase
						if on(9) {
							s.Tries, s.Streak = many, many
						}
						if !yield(f, s) {
							return
						}
					}
				}
			}
		}
	}
}

// TestOutcomeHolds: what holds in every situation.
func TestOutcomeHolds(t *testing.T) {
	for f, s := range situations() {
		c := met(f, s)
		task := s.Work == Discovery || s.Work == FolderSync
		untried := s.Stopped || s.NotTried
		for _, rule := range []struct {
			says  string
			holds bool
		}{
			{"a task is left only where there is none", (c.Task == Leave) == !task},
			{"what was not tried is returned, and that is all", !untried || c == Consequence{Task: c.Task}},
			{"what was not tried is returned", !untried || !task || c.Task == Return},
			{"who waits for room has not failed", !c.AwaitRoom || !c.Record && !c.AccountWide &&
				(!task || c.Task == Return)},
			{"an attempt that progressed does not count", !s.Progressed || c.Task != Retry && !c.Last},
			{"the store's trouble is not the account's", f.Class != class.Storage || !c.AccountWide},
			{"who waits for a person backs off from nothing", !c.Pause || !c.AccountWide || f.Then != ""},
			{"a task of a paused account is returned", !c.Pause || !task || c.Task == Return && c.End},
			{"a connection is to blame after two mailboxes, or when no message is",
				f.Class != class.Network || s.Work != FolderSync || BeforeSelect(f.Phase, s.Work) || untried ||
					s.NoRoom ||
					c.AccountWide == (s.Elsewhere || s.GaveUp)},
			{"a run waits for room some times", !c.AwaitRoom || c.End == (s.Once && s.Streak >= Fruitless)},
			{"a wait is shown once", !c.Show || !c.AccountWide && !c.Held},
			{"a refused probe costs no session", !c.Drop || !f.Said || !s.Probing},
			{"no connection is the host's trouble", f.Phase != policy.PhaseConnect || !c.AccountWide},
			{"a message is not its account's trouble",
				f.Class != class.Parsing || !c.AccountWide || s.Work != FolderSync || BeforeSelect(f.Phase, s.Work)},
			{"a mailbox that is given up is listed or cools down",
				(c.Task == Fail && s.Work == FolderSync) == (c.Relist != c.CoolDown)},
			{"it is relisted once", !c.Relist || !s.Relisted && f.Class == class.Mailbox},
			{"a discovery that is given up ends the run", s.Work != Discovery || c.Task != Fail || c.End},
			{"an agent goes on", !c.End || s.Once || c.Pause || s.Work != FolderSync},
			{"a person's command ends no run and no session", s.Work != Interactive || !c.End && !c.Drop &&
				!c.AwaitRoom},
			{"a rest is a limit's", !c.Rest || f.Class == class.Quota},
			{"a task that waits for its account is due when that is", !c.Held || c.At.Equal(start().Add(backOff))},
			{"a moment's wait is of an attempt that progressed", !c.Short || c.AccountWide && s.Progressed},
			{"what blames the account is in a mailbox", !c.Last || c.AccountWide && s.Work == FolderSync},
		} {
			if !rule.holds {
				t.Fatalf("%s:\n%+v\n%+v\n%s", rule.says, f, s, c)
			}
		}
	}
}

// TestOutcomeTwice: what is carried out before the task's attempts and the wait are known does not depend on
// them; neither does anything depend on the scope, which is for people.
func TestOutcomeTwice(t *testing.T) {
	delay := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	for f, s := range situations() {
		if s.Tries != 1 {
			continue
		}
		s.Now, s.Delay = start(), delay
		one := Outcome(f, s)
		other := f
		other.Scope = "elsewhere"
		if again := Outcome(other, s); again != one {
			t.Fatalf("the scope decides:\n%+v\n%+v\n%+v\n%+v", f, s, one, again)
		}
		s.Tries, s.Until = many, start().Add(time.Hour)
		late := Outcome(f, s)
		for _, c := range []*Consequence{&one, &late} {
			c.Task, c.At, c.Class, c.Held, c.Last, c.Pause = "", time.Time{}, "", false, false, false
			c.Rest, c.End, c.Show, c.Relist, c.CoolDown = false, false, false, false, false
		}
		if one != late {
			t.Fatalf("%+v\n%+v\n%+v\n%+v", f, s, one, late)
		}
	}
}

// TestOutcomeOfProcess: what a fault of the process shows of the server, and what is given up for it.
func TestOutcomeOfProcess(t *testing.T) {
	stuck := Fault{Verdict: policy.Verdict{Class: class.Timeout, Do: policy.Retry}, Phase: policy.PhaseConnect}
	for _, s := range []Situation{{Work: FolderSync}, {Work: FolderSync, NoSession: true},
		{Work: Discovery, NoFiles: true}} {
		if c := met(stuck, s); c.Throttle == s.NoSession || c.Retire != s.NoFiles {
			t.Errorf("%+v: %s", s, c)
		}
	}
}

// TestOutcomeWaits: how long a --once run waits, and for which of the two counts it ends.
func TestOutcomeWaits(t *testing.T) {
	network := Fault{Verdict: policy.Verdict{Class: class.Network, Do: policy.Retry}, Phase: policy.PhaseFetch}
	busy := Fault{Verdict: policy.Verdict{Class: class.Mailbox, Do: policy.Limit, Tries: 10}, Phase: policy.PhaseOpen}
	for name, test := range map[string]struct {
		Fault
		Situation
		delay time.Duration
		task  Verb
		end   bool
	}{
		"a first fault":    {network, Situation{Tries: 1, Streak: 1}, time.Second, Retry, false},
		"the task's fifth": {network, Situation{Tries: Fruitless, Streak: 1}, time.Second, Retry, true},
		"the run's fifth":  {network, Situation{Tries: 1, Streak: Fruitless}, time.Second, Retry, true},
		"the last wait": {network, Situation{Tries: 1, Waited: OnceWait - time.Second}, time.Second,
			Retry, false},
		"one wait too many": {network, Situation{Tries: 1, Waited: OnceWait}, time.Second, Retry, true},
		"a long wait":       {network, Situation{Tries: 1}, OnceWait + 1, Retry, true},
		"a long wait of the account": {network, Situation{Tries: 1, Until: start().Add(OnceWait + 1)}, time.Second,
			Retry, true},
		"a mailbox in use":         {busy, Situation{Tries: 1}, time.Second, Retry, false},
		"in use for long":          {busy, Situation{Tries: 1}, OnceWait + 1, Fail, false},
		"in use to the end":        {busy, Situation{Tries: 10}, time.Second, Fail, false},
		"in use, and tried before": {busy, Situation{Tries: 1, Probing: true}, time.Second, Fail, false},
		"in use, and it progressed": {busy, Situation{Tries: 10, Progressed: true, Probing: true}, time.Second,
			Delay, false},
	} {
		s := test.Situation
		s.Work, s.Once, s.Now, s.Delay = FolderSync, true, start(), func(int) time.Duration { return test.delay }
		if c := Outcome(test.Fault, s); c.Task != test.task || c.End != test.end {
			t.Errorf("%s: %s", name, c)
		}
	}
}

// TestOutcomeThen: a verdict's attempts are all made before its other class takes over.
func TestOutcomeThen(t *testing.T) {
	f := Fault{Verdict: policy.Verdict{Class: class.Quota, Do: policy.Retry, Tries: 3, Then: class.Auth},
		Phase: policy.PhaseSignIn, Said: true}
	for tries, want := range map[int]class.Class{1: class.Quota, 3: class.Quota, 4: class.Auth} {
		if c := met(f, Situation{Work: FolderSync, Tries: tries}); c.Class != want || c.Pause != (want == class.Auth) {
			t.Errorf("after %d attempts: %s", tries, c)
		}
	}
}

// TestOutcomeOfMailbox: a task whose mailbox has trouble of its own has its own wait while the account backs off.
func TestOutcomeOfMailbox(t *testing.T) {
	f := Fault{Verdict: policy.Verdict{Class: class.Network, Do: policy.Retry}, Phase: policy.PhaseFetch}
	s := Situation{Work: FolderSync, Tries: 1, Now: start(), Until: start().Add(time.Hour),
		Delay: func(int) time.Duration { return time.Minute }}
	if c := Outcome(f, s); c.Held || !c.At.Equal(start().Add(time.Minute)) {
		t.Errorf("%s", c)
	}
	f.Phase = policy.PhaseSignIn
	if c := Outcome(f, s); !c.Held || !c.At.Equal(s.Until) {
		t.Errorf("before a mailbox is open: %s", c)
	}
}
