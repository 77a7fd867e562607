package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// storeCopyView is a store that was copied, in JSON.
type storeCopyView struct {
	Type      string      `json:"type"`      // "backup" or "restore"
	File      string      `json:"file"`      // the backup
	CopiedAt  answer.Time `json:"copied_at"` // when the backup was made; null: it was no backup
	Schema    int         `json:"schema"`    // its version
	Accounts  int64       `json:"accounts"`  // how many it has
	Mailboxes int64       `json:"mailboxes"` // how many it has
	Messages  int64       `json:"messages"`  // how many it has
	Bytes     int64       `json:"bytes"`     // of the file
	Kept      answer.Text `json:"kept"`      // the file with the store that was replaced; null: none was
}

func viewCopy(kind, file string, f storage.CopyFacts, bytes int64) storeCopyView {
	return storeCopyView{Type: kind, CopiedAt: answer.At(f.CopiedAt), File: file, Schema: f.Schema,
		Accounts: f.Accounts, Mailboxes: f.Mailboxes, Messages: f.Messages, Bytes: bytes}
}

func (a *app) backup() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "backup FILE", Short: "Copy the store into one file", Args: exactly(1, "FILE"),
		Long: `Copy the store into one file, as it is at this moment. A running mailcote goes
on meanwhile; fetching may rest until the copy is made. The copy is written as
FILE.partial, verified, and then gets its name. It holds all mail and every
setting, and no password: remembered passwords are in the file beside the store
that ends in .secrets, and that one stays as it is when the copy is restored.`,
		Example: `  mailcote backup ~/backup/mail-2026-11-30.db
  mailcote backup --force /mnt/disk/mail.db
  mailcote --store ~/backup/mail-2026-11-30.db check`,
		RunE: func(c *cobra.Command, args []string) error {
			to, err := filepath.Abs(args[0])
			if err != nil {
				return usagef("%s: %s", typed(args[0]), err)
			}
			var facts storage.CopyFacts
			err = a.reading(c.Context(), func(s *storage.Store) (err error) {
				facts, err = storage.Backup(c.Context(), s, to, storage.BackupOptions{Force: force,
					Progress: a.following("Copied", " pages")})
				return err
			})
			a.ended()
			if err != nil {
				return backupRefused(to, err)
			}
			size := int64(0)
			if info, err := os.Stat(to); err == nil {
				size = info.Size()
			}
			if a.json {
				if err := a.voice.JSON(viewCopy("backup", to, facts, size)); err != nil {
					return err
				}
			}
			a.voice.Note("Backed up and verified: %s (%s, %s).", voice.Line(to),
				format.Plural(facts.Messages, "message", "messages"), format.Octets(size))
			if facts.Damaged > 0 {
				a.voice.Warn("the store has damaged messages, and so has the copy: mailcote check lists them")
				return &ended{Partly}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace FILE if it exists")
	return c
}

// backupRefused says what to do about a name that cannot be used.
func backupRefused(to string, err error) error {
	dir := filepath.Dir(to)
	_, missing := os.Stat(dir)
	switch {
	case errors.Is(err, storage.ErrCopyName):
		return usagef("%s is a name that the store uses itself: name another file", typed(to))
	case errors.Is(err, storage.ErrCopyForeign):
		if info, failed := os.Stat(to); failed == nil && info.IsDir() {
			return usagef("%s is a directory: name a file, such as %s", typed(to), typed(filepath.Join(to, "mail.db")))
		}
		return usagef("%s: move it away or name another file", err)
	case errors.Is(err, fs.ErrExist):
		return usagef("%s exists: name a new file, or replace it with --force", typed(to))
	case errors.Is(missing, fs.ErrNotExist):
		return usagef("there is no directory %s: make it or name another file", typed(dir))
	case errors.Is(err, storage.ErrCopyRaced):
		return &failure{Temporary, err}
	}
	return err
}
