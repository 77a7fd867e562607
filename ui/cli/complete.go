package cli

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/queue"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

const (
	// completeTime is how long a shell waits for what may be typed next.
	completeTime = time.Second
	mostIDs      = 50
)

// completing is a function that lists what may be typed next.
type completing = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completed lists what find gives, read from the store as it is. Without a store,
// or when it cannot be read in time, there is nothing: an error would stand in
// the middle of what somebody types.
func (a *app) completed(find func(r *storage.Reader, args []string, begun string) ([]string, error)) completing {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		parent := c.Context()
		if parent == nil {
			parent = context.Background()
		}
		ctx, cancel := context.WithTimeout(parent, completeTime)
		defer cancel()
		var all []string
		_ = a.read(ctx, func(r *storage.Reader) (err error) { //nolint:errcheck // see above
			all, err = find(r, args, begun)
			return err
		})
		all = slices.DeleteFunc(all, func(one string) bool {
			word, _, _ := strings.Cut(one, "\t")
			return !strings.HasPrefix(word, begun) || voice.Line(word) != word // a shell takes a line as a word
		})
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeAccounts completes the first n arguments with the names of accounts
// that are not among them yet; all of them if n < 0.
func (a *app) completeAccounts(n int) completing {
	return a.completed(func(r *storage.Reader, args []string, _ string) ([]string, error) {
		if n >= 0 && len(args) >= n {
			return nil, nil
		}
		accounts, err := r.Accounts()
		var all []string
		for _, one := range accounts {
			if !slices.Contains(args, one.Name) {
				all = append(all, one.Name)
			}
		}
		return all, err
	})
}

// completeMailbox completes an account and one of its mailboxes.
func (a *app) completeMailbox() completing {
	accounts := a.completeAccounts(1)
	boxes := a.completed(func(r *storage.Reader, args []string, _ string) ([]string, error) {
		one, err := findAccount(r, args[0])
		if err != nil {
			return nil, err
		}
		return paths(r, one)
	})
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return boxes(c, args, begun)
		}
		return accounts(c, args, begun)
	}
}

// completeMailboxes completes a mailbox of the accounts that are named, or of
// all.
func (a *app) completeMailboxes() completing {
	return a.completed(func(r *storage.Reader, args []string, _ string) ([]string, error) {
		accounts, err := r.Accounts()
		var all []string
		for _, one := range accounts {
			if len(args) > 0 && !slices.Contains(args, one.Name) {
				continue
			}
			more, failed := paths(r, one)
			if failed != nil {
				return nil, failed
			}
			all = append(all, more...)
		}
		slices.Sort(all)
		return slices.Compact(all), err
	})
}

func paths(r *storage.Reader, of storage.Account) (all []string, err error) {
	boxes, err := r.Mailboxes(of.ID)
	for _, one := range boxes {
		all = append(all, one.Path)
	}
	return all, err
}

// completeTasks completes the numbers of tasks, behind other arguments.
func (a *app) completeTasks(others int) completing {
	return a.completed(func(r *storage.Reader, args []string, _ string) ([]string, error) {
		if len(args) < others {
			return nil, nil
		}
		tasks, err := queue.List(r, 0, mostTasks)
		var all []string
		for _, t := range tasks {
			id := strconv.FormatInt(int64(t.ID), 10)
			if len(all) < mostIDs && !slices.Contains(args[others:], id) {
				all = append(all, described(id, string(t.State)+" "+string(t.Type)+after(" ", t.Payload.Folder)))
			}
		}
		return all, err
	})
}

// completeQuarantined completes the numbers of messages in quarantine, at most
// one if only is true.
func (a *app) completeQuarantined(only bool) completing {
	return a.completed(func(r *storage.Reader, args []string, _ string) ([]string, error) {
		if only && len(args) > 0 {
			return nil, nil
		}
		accounts, err := r.Accounts()
		if err != nil {
			return nil, err
		}
		var all []string
		for _, one := range accounts {
			some, err := r.QuarantineOf(one.ID)
			if err != nil {
				return nil, err
			}
			for _, q := range some {
				id := strconv.FormatInt(q.ID, 10)
				if len(all) < mostIDs && !slices.Contains(args, id) {
					all = append(all, described(id, one.Name+" "+q.Path))
				}
			}
		}
		return all, nil
	})
}

// completeMessage completes the short id of one message: the newest ones, or
// those whose id begins as what was typed.
func (a *app) completeMessage() completing {
	return a.completed(func(r *storage.Reader, args []string, begun string) ([]string, error) {
		if len(args) > 0 {
			return nil, nil
		}
		some, err := r.IDs(begun, mostIDs)
		if err != nil {
			return nil, err
		}
		var all []string
		for _, one := range some {
			short, err := r.ShortID(one.ID)
			if err != nil {
				return nil, err
			}
			if !strings.HasPrefix(short, begun) {
				short = one.ID.Beginning(begun)
			}
			all = append(all, described(short, one.Subject))
		}
		return all, nil
	})
}

// completeFlags completes the flags that mean the same everywhere.
func (a *app) completeFlags(c *cobra.Command) {
	for name, with := range map[string]completing{"account": a.completeAccounts(-1), "mailbox": a.completeMailboxes()} {
		if c.LocalFlags().Lookup(name) != nil {
			flagged(c, name, with)
		}
	}
	for _, one := range c.Commands() {
		a.completeFlags(one)
	}
}

// oneOf completes a flag with words.
func oneOf(words ...string) completing {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// flagged completes a flag of a command.
func flagged(c *cobra.Command, flag string, with completing) {
	_ = c.RegisterFlagCompletionFunc(flag, with) // the flag is there, or a test fails
}

// described is a word with what a shell shows beside it.
func described(word, text string) string {
	text = strings.Join(strings.Fields(voice.Line(text)), " ")
	if text == "" {
		return word
	}
	return word + "\t" + text
}
