package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) search() *cobra.Command {
	return &cobra.Command{Use: "search QUERY", RunE: func(*cobra.Command, []string) error { return nil }}
}
