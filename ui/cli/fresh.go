package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"mailcote/storage"
)

// fresh reports whether an error says that nothing was stored on this machine
// yet. A store that --store or MAILCOTE_STORE names should be there.
func (a *app) fresh(err error) bool {
	_, isDefault, failed := a.storePath()
	return failed == nil && isDefault && errors.Is(err, storage.ErrMissing)
}

// orFresh makes a command that lists what is stored answer on a fresh machine:
// there is nothing, and that is how to begin.
func (a *app) orFresh(c *cobra.Command) *cobra.Command {
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		err := run(c, args)
		if !a.fresh(err) {
			return err
		}
		a.noAccountYet()
		for _, name := range []string{"exists", "wait"} {
			if f := c.Flags().Lookup(name); f != nil && f.Changed {
				return &ended{Nothing}
			}
		}
		return nil
	}
	return c
}

// noAccountYet says how to begin.
func (a *app) noAccountYet() {
	a.voice.Note("No account yet: mailcote account add imaps://you@example.org, or mailcote demo")
}
