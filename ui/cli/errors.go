package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// mostFaults is the longest list of faults that is printed.
const mostFaults = 1000

// faultView is a fault in JSON; the names are those of the view sync_errors.
type faultView struct {
	Type        string      `json:"type"` // error
	ID          int64       `json:"id"`
	At          time.Time   `json:"at"`
	Account     string      `json:"account,omitempty"`
	Mailbox     string      `json:"mailbox,omitempty"`
	UID         uint32      `json:"uid,omitempty"`
	Task        int64       `json:"task_id,omitempty"`
	Class       class.Class `json:"class"`
	Scope       string      `json:"scope"`
	Phase       string      `json:"phase,omitempty"`
	Command     string      `json:"command,omitempty"`
	ServerText  string      `json:"server_text,omitempty"`
	Detail      string      `json:"detail,omitempty"`
	NextStep    string      `json:"next_step,omitempty"`
	Attempt     int         `json:"attempt"`
	Stack       string      `json:"stack,omitempty"`
	Fingerprint string      `json:"fingerprint,omitempty"`
}

func viewFault(f storage.Fault) faultView {
	return faultView{"error", f.ID, f.At, f.AccountName, f.MailboxPath, uint32(f.UID), int64(f.Task), f.Class,
		f.Scope, f.Phase, f.Command,
		f.ServerText, f.Detail, f.NextStep, f.Attempt, f.Stack, f.Fingerprint}
}

// problemView is a problem in JSON: the faults with one fingerprint, and the latest of them.
type problemView struct {
	Type        string    `json:"type"` // problem
	Fingerprint string    `json:"fingerprint"`
	Count       int       `json:"count"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Latest      faultView `json:"latest"`
}

func (a *app) errors() *cobra.Command {
	from := since{text: "7d", ago: 7 * 24 * time.Hour}
	var group bool
	c := &cobra.Command{
		Use: "errors", Short: "List what went wrong and what to do about it", Args: exactly(0, ""),
		Example: "  mailcote errors\n  mailcote errors --group\n  mailcote errors --since 2h --json\n  mailcote " +
			"errors quarantine",
		RunE: func(c *cobra.Command, _ []string) error {
			if group {
				return a.problems(c.Context(), from)
			}
			var views []faultView
			if err := a.readWithAccounts(c.Context(), func(r *storage.Reader, accounts []view.Account) error {
				a.noteHolds(accounts)
				faults, err := r.Faults(from.Time(), mostFaults)
				for _, f := range faults {
					views = append(views, viewFault(f))
				}
				return err
			}); err != nil {
				return err
			}
			if a.json {
				return each(views, a.voice.JSON)
			}
			if len(views) == 0 {
				a.voice.Note("Nothing went wrong %s.", from.Words())
			}
			for _, v := range views {
				if err := a.printFault(v); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().Var(&from, "since", "from `WHEN` on: 7d, 2h or 2026-11-01")
	c.Flags().BoolVar(&group, "group", false, "one line for each problem: how often, first and last")
	c.AddCommand(a.quarantine(), a.retryQuarantined(), a.raw())
	return c
}

// noteHolds says on stderr which accounts may not be tried, why and until when.
func (a *app) noteHolds(accounts []view.Account) {
	for _, one := range accounts {
		switch one.Standing.State {
		case view.Paused, view.Offline, view.Waiting:
			a.voice.NotePara(one.Name + "  " + one.Standing.String())
		}
	}
}

// problems lists each problem once, the latest first.
func (a *app) problems(ctx context.Context, from since) error {
	var views []problemView
	if err := a.readWithAccounts(ctx, func(r *storage.Reader, accounts []view.Account) error {
		a.noteHolds(accounts)
		groups, err := r.FaultGroups(from.Time(), mostFaults)
		for _, g := range groups {
			views = append(views, problemView{"problem", g.Fault.Fingerprint, g.Count, g.First, g.Last,
				viewFault(g.Fault)})
		}
		return err
	}); err != nil {
		return err
	}
	if a.json {
		return each(views, a.voice.JSON)
	}
	if len(views) == 0 {
		a.voice.Note("Nothing went wrong %s.", from.Words())
		return nil
	}
	if a.voice.OutTTY {
		for _, v := range views {
			if err := a.printProblem(v); err != nil {
				return err
			}
		}
		return nil
	}
	var rows [][]string
	for _, v := range views {
		f := v.Latest
		rows = append(rows, []string{strconv.Itoa(v.Count), moment(&v.First), moment(&v.Last), string(f.Class),
			f.Account + after(" ", f.Mailbox), f.Detail, f.NextStep})
	}
	return a.voice.Table([]string{"TIMES", "FIRST", "LAST", "CLASS", "WHERE", "WHAT", "NEXT STEP"}, rows,
		voice.Layout{})
}

// printProblem prints a problem on a terminal, where a table would not fit.
func (a *app) printProblem(v problemView) error {
	f := v.Latest
	if err := a.voice.Say("%s  %s  %s", format.Plural(int64(v.Count), "time", "times"), a.voice.Strong(string(f.Class)),
		between(v.First, v.Last)); err != nil {
		return err
	}
	return errors.Join(a.voice.Para("  ", f.Account+after(" ", f.Mailbox)+": "+f.Detail), a.printStep(f.NextStep))
}

// between is the time from the first fault of a problem to the last.
func between(first, last time.Time) string {
	if from, to := moment(&first), moment(&last); from != to {
		return from + " to " + to
	}
	return moment(&last)
}

func (a *app) printFault(v faultView) error {
	where := v.Account + after(" ", v.Mailbox)
	if v.UID != 0 {
		where += " UID " + strconv.FormatUint(uint64(v.UID), 10)
	}
	at := v.At.Local().Format("2006-01-02 15:04:05")
	if a.voice.OutTTY {
		if err := a.voice.Say("%s  %s", at, a.voice.Strong(string(v.Class))); err != nil {
			return err
		}
		return errors.Join(a.voice.Para("  ", where+": "+v.Detail), a.printStep(v.NextStep))
	}
	if err := a.voice.Say("%s  %s  %s: %s", at, a.voice.Strong(string(v.Class)), voice.Line(where),
		voice.Line(v.Detail)); err != nil {
		return err
	}
	return a.printStep(v.NextStep)
}

func (a *app) printStep(step string) error {
	if step == "" {
		return nil
	}
	return a.voice.Para("  → ", step)
}

// compact is a value as JSON on one line, for people.
func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
