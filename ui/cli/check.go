package cli

import (
	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

// findingView is what check found, in JSON.
type findingView struct {
	Type string `json:"type"` // finding
	storage.Finding
}

func (a *app) check() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Verify the store: every digest, row and index", Args: exactly(0, ""),
		Long:    "Verify the store: SQLite's own check, every digest, coverage, counters, derived rows, the index and the queue.\nNothing is changed.",
		Example: "  mailcote check\n  mailcote check --json",
		RunE: func(c *cobra.Command, _ []string) error {
			var found []storage.Finding
			err := a.reading(c.Context(), func(s *storage.Store) (err error) {
				found, err = engine.Check(c.Context(), s, a.checking())
				return err
			})
			if err != nil {
				return err
			}
			for _, f := range found {
				if err := a.printFinding(f); err != nil {
					return err
				}
			}
			if len(found) > 0 {
				a.voice.Note("%s. Nothing was changed.", voice.Plural(int64(len(found)), "finding", "findings"))
				return &ended{Failed}
			}
			a.voice.Note("The store is sound.")
			return nil
		},
	}
}

func (a *app) checking() func(done, total int64) { return nil }

func (a *app) printFinding(f storage.Finding) error {
	if a.json {
		return a.voice.JSON(findingView{"finding", f})
	}
	return a.voice.Say("%s", voice.Line(compact(f)))
}
