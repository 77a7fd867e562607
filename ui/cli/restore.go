package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

func (a *app) restore() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the store's place", Args: exactly(1, "FILE"),
		Long: `Put a backup in the store's place. Nothing may run on the store meanwhile: stop
mailcote run first. FILE is checked before, and stays. What the store was is
kept beside it in a file whose name ends in .before-restore-TIME, which may be
restored in turn. The next sync fetches what came since the backup was made.
Remembered passwords stay as they are.`,
		Example: `  mailcote restore ~/backup/mail-2026-11-30.db
  mailcote restore --yes ~/backup/mail-2026-11-30.db`,
		RunE: func(c *cobra.Command, args []string) error {
			path, isDefault, err := a.storePath()
			if err != nil {
				return err
			}
			from, err := filepath.Abs(args[0])
			if err != nil {
				return usagef("%s: %s", typed(args[0]), err)
			}
			if info, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
				return usagef("there is no file %s", typed(from))
			} else if err == nil && !info.Mode().IsRegular() {
				return usagef("%s is no file that can be restored", typed(from))
			}
			done, err := storage.Restore(c.Context(), from, path, storage.RestoreOptions{Default: isDefault,
				Holder: "mailcote restore", Progress: a.following("Copied", " pages"),
				Confirm: func(p storage.RestorePlan) error { return a.mayRestore(c.Context(), from, path, p, yes) }})
			a.ended()
			if err != nil {
				return restoreRefused(from, err)
			}
			return a.restored(from, path, done)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// mayRestore asks whether a store may be replaced.
func (a *app) mayRestore(ctx context.Context, from, path string, p storage.RestorePlan, yes bool) error {
	if yes || !p.Replace {
		return nil
	}
	what := "another copy of a store"
	if !p.Copy.CopiedAt.IsZero() {
		what = "the backup of " + format.Moment(p.Copy.CopiedAt)
	}
	old := "which holds " + format.Plural(p.Store.Messages, "message", "messages")
	if p.Unread != nil {
		old = "which cannot be read (" + p.Unread.Error() + ")"
	}
	ok, err := a.voice.Confirm(ctx,
		voice.Line(fmt.Sprintf("%s, %s with %s, takes the place of %s, %s. That one is kept "+
			"beside it. Go on?", from, what, format.Plural(p.Copy.Messages, "message", "messages"), path, old)))
	if errors.Is(err, voice.ErrNobody) {
		return usagef("%s is a store already, and nobody can be asked whether to replace it: say --yes", typed(path))
	}
	if err != nil {
		return err
	}
	if !ok {
		return &failure{Failed, errors.New("nothing was restored")}
	}
	return nil
}

// restoreRefused says what to do about a file that cannot be restored.
func restoreRefused(from string, err error) error {
	switch {
	case errors.Is(err, storage.ErrCopyName):
		return usagef("%s belongs to the store that would be replaced: name a backup", typed(from))
	case errors.Is(err, storage.ErrCopyUnusable) && errors.Is(err, storage.ErrNotStore):
		return usagef("%s is no backup of a mailcote store: name one that mailcote backup has made", typed(from))
	case errors.Is(err, storage.ErrCopyUnusable) && !errors.Is(err, storage.ErrNewer):
		// Not wrapped: it is not the store that is damaged.
		return fmt.Errorf("nothing was changed: %s; restore another backup", err) //nolint:errorlint // see above
	case errors.Is(err, storage.ErrStoreRead):
		return &failure{Temporary, fmt.Errorf("%w: end it and try again", err)}
	}
	return err
}

// restored says what was done.
func (a *app) restored(from, path string, done storage.Restored) error {
	if a.json {
		size := int64(0)
		if info, err := os.Stat(path); err == nil {
			size = info.Size()
		}
		v := viewCopy("restore", from, done.Copy, size)
		v.Kept = answer.Text(done.Kept)
		if err := a.voice.JSON(v); err != nil {
			return err
		}
	}
	a.voice.Note("Restored %s: %s. mailcote sync fetches what came since.", voice.Line(path),
		format.Plural(done.Copy.Messages, "message", "messages"))
	if done.Kept != "" {
		a.voice.Note("What was there is kept as %s: remove it when all is well.", voice.Line(done.Kept))
	}
	if done.Copy.Damaged > 0 {
		a.voice.Warn("the backup has damaged messages: mailcote check lists them")
		return &ended{Partly}
	}
	if done.Copy.Schema < storage.SchemaVersion() {
		a.voice.Note("It has an older schema, which the next mailcote sync or run brings up to date.")
	}
	return nil
}
