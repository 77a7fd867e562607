package cli

import (
	"github.com/spf13/cobra"

	"mailcote/ui/cli/man"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
)

// writtenView is `man --json`.
type writtenView struct {
	Type  string `json:"type"`  // always "written"
	Dir   string `json:"dir"`   // the directory
	Pages int    `json:"pages"` // how many
}

func (a *app) manual() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages", Args: exactly(1, "DIR"),
		Long: `Write the manual pages of all commands into a directory, one file each.`,
		Example: `  mailcote man ~/.local/share/man/man1
  man mailcote-sync`,
		RunE: func(c *cobra.Command, args []string) error {
			pages := man.Pages(c.Root(), viewVersion().String(), statusLines())
			if err := man.Write(args[0], pages); err != nil {
				return err
			}
			if a.json {
				return a.voice.JSON(writtenView{"written", args[0], len(pages)})
			}
			a.voice.Note("Wrote %s into %s.", format.Plural(int64(len(pages)), "page", "pages"), voice.Line(args[0]))
			return nil
		},
	}
}
