package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// removedView is `account remove --json`.
type removedView struct {
	Type      string `json:"type"`      // always "removed"
	Account   string `json:"account"`   // the name that it had
	Mailboxes int64  `json:"mailboxes"` // how many went with it
	Messages  int64  `json:"messages"`  // how many went with it
	Bytes     int64  `json:"bytes"`     // of the messages
	Wiped     bool   `json:"wiped"`     // every page of the file was written anew
}

func (a *app) accountRemove() *cobra.Command {
	var yes, wipe bool
	c := &cobra.Command{
		Use: "remove ACCOUNT", Short: "Remove an account and its mail from the store", Args: exactly(1, "ACCOUNT"),
		Long: `Remove an account from the store: its mail, its history, its saved password.
What goes is said and asked first. The server is told nothing, and mail that
another account has too stays there. With --wipe every page of the file is
written anew, so that nothing is left of what was deleted; that takes room for
a second copy of the store.`,
		Example: `  mailcote account remove work
  mailcote account remove you@example.org --yes --wipe`,
		ValidArgsFunction: a.completeAccounts(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes && !a.voice.CanAsk() {
				return usagef("this deletes mail, and there is nobody to ask: add --yes if you want that")
			}
			return a.remove(c.Context(), args[0], yes, wipe)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&wipe, "wipe", false, "leave no trace of it in the store's file")
	return c
}

func (a *app) remove(ctx context.Context, name string, yes, wipe bool) error {
	if err := a.read(ctx, func(r *storage.Reader) error {
		_, err := findAccount(r, name)
		return err
	}); err != nil {
		return err
	}
	return a.owning(ctx, "mailcote account remove", func(st *storage.Store, e *engine.Engine) error {
		var one storage.Account
		var h storage.Holdings
		if err := st.Read(ctx, func(r *storage.Reader) (err error) {
			if one, err = findAccount(r, name); err == nil {
				h, err = r.Holdings(one.ID)
			}
			return err
		}); err != nil {
			return err
		}
		if !yes {
			sure, err := a.voice.Confirm(ctx, voice.Line(fmt.Sprintf("Remove account %s with %s?", one.Name, held(h))))
			if err != nil {
				return err
			}
			if !sure {
				return &failure{Failed, errors.New("nothing was removed")}
			}
		}
		if err := e.RemoveAccount(ctx, one.ID, a.removing(h.Messages)); err != nil {
			a.ended()
			a.noteHidden(ctx, st, one)
			return err
		}
		if wipe {
			a.voice.Note("Writing the store anew.")
			if err := st.Wipe(ctx); err != nil {
				return fmt.Errorf("the account is removed; wipe: %w", err)
			}
			a.noteCopies(st.Path())
		}
		return a.printRemoved(removedView{"removed", one.Name, h.Mailboxes, h.Messages, h.Bytes, wipe})
	})
}

// noteHidden says, when a removal ended early, that it goes on.
func (a *app) noteHidden(ctx context.Context, st *storage.Store, one storage.Account) {
	if err := st.Read(context.WithoutCancel(ctx), func(r *storage.Reader) error {
		_, err := r.Account(one.ID)
		return err
	}); errors.Is(err, storage.ErrNotFound) {
		a.voice.Note("%s is removed. What is left of its mail is deleted at the next start.", voice.Line(one.Name))
	}
}

// held says what an account has.
func held(h storage.Holdings) string {
	return fmt.Sprintf("%s, %s (%s)", format.Plural(h.Mailboxes, "mailbox", "mailboxes"),
		format.Plural(h.Messages, "message", "messages"), format.Octets(h.Bytes))
}

// removing shows on a terminal how far a removal is.
func (a *app) removing(total int64) func(done int64) {
	show := a.following("Removed", " messages")
	if show == nil {
		return nil
	}
	return func(done int64) { show(min(done, total), total) }
}

// noteCopies names the files beside a store that may be copies of it.
func (a *app) noteCopies(store string) {
	all, _ := filepath.Glob(escaped(store) + ".*") //nolint:errcheck // the pattern is sound
	all = slices.DeleteFunc(all, func(name string) bool { return !isDatabase(name) })
	if len(all) > 0 {
		a.voice.Warn("copies of the store keep what they have: %s", voice.Line(strings.Join(all, ", ")))
	}
}

// isDatabase reports whether a file begins as one of SQLite does.
func isDatabase(name string) bool {
	// a pipe would wait for its writer
	if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was only read
	head := make([]byte, 16)
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == "SQLite format 3\x00"
}

// escaped is a path as a pattern that means only itself.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func (a *app) printRemoved(v removedView) error {
	if a.json {
		return a.voice.JSON(v)
	}
	return a.voice.Say("Removed %s: %s.", a.voice.Strong(voice.Line(v.Account)),
		held(storage.Holdings{Mailboxes: v.Mailboxes, Messages: v.Messages, Bytes: v.Bytes}))
}

func (a *app) accountRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename ACCOUNT NAME", Short: "Give an account another name", Args: exactly(2, "ACCOUNT or NAME"),
		Example:           "  mailcote account rename you@example.org work",
		ValidArgsFunction: a.completeAccounts(1),
		RunE: func(c *cobra.Command, args []string) error {
			name := args[1]
			if err := goodName(name); err != nil {
				return err
			}
			return a.change(c.Context(), "mailcote account rename", args[:1],
				func(e *engine.Engine, ids []storage.AccountID) error {
					return taken(e.RenameAccount(c.Context(), ids[0], name))
				})
		},
	}
}

// goodName refuses what cannot be the name of an account: it would be taken for
// a URL or a flag, or could not be read or typed.
func goodName(name string) error {
	switch {
	case strings.TrimSpace(name) == "" || strings.TrimSpace(name) != name:
		return usagef("an account's name has no blank at its ends and is not empty")
	case isURL(name) || strings.HasPrefix(name, "-"):
		return usagef("%s cannot be the name of an account: it would be taken for something else", typed(name))
	case strings.ContainsFunc(name, unicode.IsControl) || len(name) > 255:
		return usagef("an account's name has at most 255 bytes and no control characters")
	}
	return nil
}

// taken makes the error of a name that another account has one of usage.
func taken(err error) error {
	if one := (*engine.NameTakenError)(nil); errors.As(err, &one) {
		return usagef("%s: choose another name", one.Error())
	}
	return err
}
