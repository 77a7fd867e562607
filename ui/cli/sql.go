package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) sql() *cobra.Command {
	return &cobra.Command{Use: "sql QUERY", RunE: func(*cobra.Command, []string) error { return nil }}
}
