package cli

import (
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

// findingView is what check found, in JSON.
type findingView struct {
	Type   string `json:"type"` // finding
	What   string `json:"what"`
	Where  string `json:"where"`
	Detail string `json:"detail"`
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
			if a.voice.Bars() {
				a.voice.Over("")
			}
			for _, f := range found {
				if err := a.printFinding(f); err != nil {
					return err
				}
			}
			if err != nil { // what was found until then is printed all the same
				return err
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

// checking shows how far a check is, on a terminal.
func (a *app) checking() func(done, total int64) {
	if !a.voice.Bars() {
		return nil
	}
	var shown time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(shown) >= 200*time.Millisecond || done == total {
			shown = now
			a.voice.Over("Checked %s of %s", voice.Count(done), voice.Count(total))
		}
	}
}

func (a *app) printFinding(f storage.Finding) error {
	if a.json {
		return a.voice.JSON(findingView{"finding", f.What, f.Where, f.Detail})
	}
	return a.voice.Say("%s: %s: %s", a.voice.Strong(voice.Line(f.What)), voice.Line(f.Where), voice.Line(f.Detail))
}
