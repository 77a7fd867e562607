package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// chosen is how tasks are chosen: by number, by flags that must all fit, or
// --all.
type chosen struct {
	account, state, kind string
	all, force           bool
}

// queueVerbs are the commands that change tasks.
func (a *app) queueVerbs() []*cobra.Command {
	var all []*cobra.Command
	for _, one := range []struct {
		verb                       queue.Verb
		use, short, long, examples string
	}{
		{queue.VerbRetry, "retry", "Try tasks again: those that failed or were cancelled, and those that wait",
			`Put failed and cancelled tasks back, their tries counted anew, and let waiting
ones begin at once. The deadline of a server's quota is kept; --force tries all
the same. The next sync or run does the work.`,
			`  mailcote queue retry 12 15
  mailcote queue retry --state failed --account you@example.org
  mailcote queue retry 12 --force`},
		{queue.VerbCancel, "cancel", "Give tasks up",
			`Give up tasks that are not finished. Mail is not lost by it: the next pass makes
new ones for what is missing.`,
			"  mailcote queue cancel 12\n  mailcote queue cancel --account you@example.org"},
		{queue.VerbPause, "pause", "Leave tasks undone until they are resumed",
			`Leave tasks undone until they are resumed. A pass makes no second one in place
of a paused one.`,
			"  mailcote queue pause 12\n  mailcote queue pause --type folder_sync"},
		{queue.VerbResume, "resume", "Let paused tasks go on",
			`Let paused tasks go on. One that waited when it was paused waits until its time
has come.`,
			"  mailcote queue resume 12\n  mailcote queue resume --all"},
		{queue.VerbPriority, "priority N", "Give tasks another priority, from 1 to 10; higher goes first",
			`Give unfinished tasks another priority, from 1 to 10. Higher goes first, within
one account.`,
			"  mailcote queue priority 9 12 15\n  mailcote queue priority 1 --account you@example.org"},
	} {
		var s chosen
		before := strings.Count(one.use, " ") // arguments before the tasks
		c := &cobra.Command{
			Use: one.use + " ID…", Short: one.short, Example: one.examples, Args: cobra.ArbitraryArgs,
			Long: one.long + `

Tasks are chosen by number, or by the flags that say which (all must fit), or
with --all: then every task is meant that the command applies to.`,
			ValidArgsFunction: a.completeTasks(before),
			RunE: func(c *cobra.Command, args []string) error {
				o := queue.Order{Verb: one.verb, Force: s.force}
				if o.Verb == queue.VerbPriority {
					if len(args) == 0 {
						return usagef("N is missing: %s", c.UseLine())
					}
					n, err := strconv.Atoi(args[0])
					if err != nil || n < 1 || n > 10 {
						return usagef("%s is no priority: it is a number from 1 to 10, higher goes first",
							typed(args[0]))
					}
					o.Priority, args = n, args[1:]
				}
				if err := s.check(c, args); err != nil {
					return err
				}
				return a.order(c.Context(), s, args, o)
			},
		}
		c.Flags().StringVar(&s.account, "account", "", "the tasks of this `ACCOUNT`")
		c.Flags().StringVar(&s.state, "state", "",
			"the tasks in this `STATE`: pending, waiting, paused, failed or cancelled")
		c.Flags().StringVar(&s.kind, "type", "",
			"the tasks of this `TYPE`: initial_sync, folder_sync or incremental_sync")
		c.Flags().BoolVar(&s.all, "all", false, "every task the command applies to")
		flagged(c, "state", oneOf("pending", "waiting", "paused", "failed", "cancelled"))
		flagged(c, "type", oneOf(string(queue.InitialSync), string(queue.FolderSync), string(queue.IncrementalSync)))
		if one.verb == queue.VerbRetry {
			c.Flags().BoolVar(&s.force, "force", false, "against the deadline of a quota too")
		}
		all = append(all, c)
	}
	return all
}

// check refuses anything but one way of choosing.
func (s chosen) check(c *cobra.Command, args []string) error {
	ways := 0
	for _, way := range []bool{len(args) > 0, c.Flags().Changed("account") || c.Flags().Changed("state") ||
		c.Flags().Changed("type"), s.all} {
		if way {
			ways++
		}
	}
	switch {
	case ways == 0:
		return usagef("which tasks? give their ID, or --account, --state, --type or --all: see %s --help",
			c.CommandPath())
	case ways > 1:
		return usagef("IDs, --all and the flags that choose exclude each other: see %s --help", c.CommandPath())
	}
	states := []queue.State{queue.Pending, queue.Waiting, queue.Paused, queue.Failed, queue.Cancelled}
	if c.Flags().Changed("state") && !slices.Contains(states, queue.State(s.state)) {
		return usagef("--state is pending, waiting, paused, failed or cancelled, not %s", typed(s.state))
	}
	types := []queue.Type{queue.InitialSync, queue.FolderSync, queue.IncrementalSync}
	if c.Flags().Changed("type") && !slices.Contains(types, queue.Type(s.kind)) {
		return usagef("--type is initial_sync, folder_sync or incremental_sync, not %s", typed(s.kind))
	}
	if c.Flags().Changed("account") && s.account == "" {
		return usagef("--account wants a name: mailcote account list shows them")
	}
	return nil
}

// order finds the tasks chosen, carries out the order and prints the outcome.
func (a *app) order(ctx context.Context, s chosen, args []string, o queue.Order) error {
	o.State, o.Type = queue.State(s.state), queue.Type(s.kind)
	for _, arg := range args {
		id, err := taskID(arg)
		if err != nil {
			return err
		}
		o.IDs = append(o.IDs, id)
	}
	names := map[storage.AccountID]string{}
	if err := a.read(ctx, func(r *storage.Reader) error {
		for _, id := range o.IDs {
			if _, err := findTask(r, id); err != nil {
				return err
			}
		}
		all, err := r.Accounts()
		for _, one := range all {
			names[one.ID] = one.Name
		}
		if err != nil || s.account == "" {
			return err
		}
		one, err := findAccount(r, s.account)
		o.Account = one.ID
		return err
	}); err != nil {
		return err
	}
	var all []queue.Outcome
	if err := a.owning(ctx, "mailcote queue "+string(o.Verb), func(_ *storage.Store, e *engine.Engine) (err error) {
		all, err = e.Tasks(ctx, o)
		return err
	}); err != nil {
		return err
	}
	return a.outcomes(o, all, names)
}

// refused says why a task was not changed.
func (a *app) refused(one queue.Outcome, account string) error {
	a.voice.Fail(one.Refused)
	if !a.json {
		return nil
	}
	v := errorView{Type: "error", Class: classUsage, Message: one.Refused.Error(), Account: answer.Text(account)}
	if errors.Is(one.Refused, queue.ErrQuota) {
		v.Class, v.RetryAt = string(class.Quota), answer.At(one.Task.NextRetryAt)
	}
	return a.voice.JSON(v)
}

// outcomes prints the tasks that changed. Why others did not goes to stderr.
func (a *app) outcomes(o queue.Order, all []queue.Outcome, names map[storage.AccountID]string) error {
	done, twins, status := 0, 0, Done
	for _, one := range all {
		v := viewTask(one.Task, names[one.Task.Account])
		switch {
		case errors.Is(one.Refused, queue.ErrTwin): // another task does it
			if twins++; len(o.IDs) > 0 {
				a.voice.Note("Left as it is: %s.", voice.Line(one.Refused.Error()))
			}
		case one.Refused != nil:
			if err := a.refused(one, v.Account); err != nil {
				return err
			}
			if errors.Is(one.Refused, queue.ErrQuota) {
				status = max(status, Temporary)
			} else {
				status = max(status, Usage)
			}
			continue
		case !one.Changed:
			a.voice.Note("Task %d is as wished already: %s, priority %d.", v.ID, v.State, v.Priority)
		case a.json:
			if err := a.voice.JSON(v); err != nil {
				return err
			}
		default:
			if err := a.voice.Say("%d  %s, priority %d  %s", v.ID, v.State, v.Priority,
				voice.Line(fmt.Sprint(v.TaskType, " ", v.Account, after(" ", v.Payload.Folder)))); err != nil {
				return err
			}
		}
		done++
	}
	if twins > 0 && len(o.IDs) == 0 {
		a.voice.Note("%s left as they are: an unfinished task does the same.",
			format.Plural(int64(twins), "ended task", "ended tasks"))
	}
	if len(all) == 0 {
		a.voice.Note("There is no such task.")
	}
	switch {
	case status == Done:
		return nil
	case done > 0:
		status = Partly
	}
	return &ended{status}
}
