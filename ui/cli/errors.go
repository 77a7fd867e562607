package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// mostFaults is the longest list of faults that is printed.
const mostFaults = 1000

// faultView is a recorded error in JSON: an error, and what the view
// sync_errors has of it under the same names.
type faultView struct {
	errorView
	ID          int64       `json:"id"`          // its number in the view sync_errors
	At          answer.Time `json:"at"`          // when it happened
	Mailbox     answer.Text `json:"mailbox"`     // null: it is of none
	UID         *uint32     `json:"uid"`         // of the message; null: it is of none
	Task        *int64      `json:"task_id"`     // null: it is of none
	Scope       string      `json:"scope"`       // what it is about: message, mailbox, account and the like
	Phase       answer.Text `json:"phase"`       // what was being done
	Command     answer.Text `json:"command"`     // the IMAP command, without arguments
	ServerText  answer.Text `json:"server_text"` // the server's own words
	Detail      answer.Text `json:"detail"`      // the same as message
	NextStep    answer.Text `json:"next_step"`   // the same as hint
	Attempt     int         `json:"attempt"`     // which try it ended, from 1 on
	Stack       answer.Text `json:"stack"`       // of a defect
	Fingerprint answer.Text `json:"fingerprint"` // equal for errors that are one problem
}

func viewFault(f storage.Fault) faultView {
	e := errorView{Type: "error", Class: string(f.Class), Message: cmp.Or(f.Detail, string(f.Class)),
		Hint: answer.Text(f.NextStep), Account: answer.Text(f.AccountName)}
	return faultView{e, f.ID, answer.At(f.At), answer.Text(f.MailboxPath), answer.Some(uint32(f.UID)),
		answer.Some(int64(f.Task)), f.Scope, answer.Text(f.Phase), answer.Text(f.Command), answer.Text(f.ServerText),
		answer.Text(f.Detail), answer.Text(f.NextStep), f.Attempt, answer.Text(f.Stack), answer.Text(f.Fingerprint)}
}

// problemView is a problem in JSON: the errors with one fingerprint, and the latest of them.
type problemView struct {
	Type        string      `json:"type"`        // always "problem"
	Fingerprint answer.Text `json:"fingerprint"` // of its errors
	Count       int         `json:"count"`       // how many errors there were
	First       answer.Time `json:"first"`       // the first of them, within --since
	Last        answer.Time `json:"last"`        // the last of them
	Latest      faultView   `json:"latest"`      // the last of them, whole
}

func (a *app) errors() *cobra.Command {
	from := since{text: "7d", ago: 7 * 24 * time.Hour}
	var group bool
	c := &cobra.Command{
		Use: "errors", Short: "List what went wrong and what to do about it", Args: exactly(0, ""),
		Example: `  mailcote errors
  mailcote errors --group
  mailcote errors --since 2h --json
  mailcote errors quarantine`,
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
			a.voice.Note("%s  %s", voice.Line(one.Name), voice.Line(one.Standing.String()))
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
			views = append(views, problemView{"problem", answer.Text(g.Fault.Fingerprint), g.Count,
				answer.At(g.First), answer.At(g.Last), viewFault(g.Fault)})
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
		rows = append(rows, []string{strconv.Itoa(v.Count), moment(v.First), moment(v.Last), f.Class,
			f.where(), f.Message, string(f.Hint)})
	}
	return a.voice.Table([]string{"TIMES", "FIRST", "LAST", "CLASS", "WHERE", "WHAT", "NEXT STEP"}, rows,
		voice.Layout{})
}

// printProblem prints a problem on a terminal, where a table would not fit.
func (a *app) printProblem(v problemView) error {
	f := v.Latest
	if err := a.voice.Say("%s  %s  %s", format.Plural(int64(v.Count), "time", "times"), a.voice.Strong(f.Class),
		between(v.First, v.Last)); err != nil {
		return err
	}
	return errors.Join(a.voice.Para("  ", f.where()+": "+f.Message), a.printStep(string(f.Hint)))
}

// between is the time from the first fault of a problem to the last.
func between(first, last answer.Time) string {
	if from, to := moment(first), moment(last); from != to {
		return from + " to " + to
	}
	return moment(last)
}

// where is the account and mailbox of an error.
func (v faultView) where() string { return string(v.Account) + after(" ", string(v.Mailbox)) }

func (a *app) printFault(v faultView) error {
	where := v.where()
	if v.UID != nil {
		where += " UID " + strconv.FormatUint(uint64(*v.UID), 10)
	}
	at := v.At.Local().Format("2006-01-02 15:04:05")
	if a.voice.OutTTY {
		if err := a.voice.Say("%s  %s", at, a.voice.Strong(v.Class)); err != nil {
			return err
		}
		return errors.Join(a.voice.Para("  ", where+": "+v.Message), a.printStep(string(v.Hint)))
	}
	if err := a.voice.Say("%s  %s  %s: %s", at, a.voice.Strong(v.Class), voice.Line(where),
		voice.Line(v.Message)); err != nil {
		return err
	}
	return a.printStep(string(v.Hint))
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
