package cli

import (
	"github.com/spf13/cobra"

	"mailcote/storage"
	"mailcote/ui/web"
)

func (a *app) token() *cobra.Command {
	return &cobra.Command{
		Use: "token", Short: "Print the token that programs send to the page", Args: exactly(0, ""),
		Long:    "Print the bearer token of this store. Whoever has it can read the mail: keep it to yourself.",
		Example: `  curl -H "Authorization: Bearer $(mailcote token)" "$(mailcote status --json | jq -r .url)"`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.reading(c.Context(), func(s *storage.Store) error {
				token, err := web.Token(stateDir(s.Path()), s.Path())
				if err != nil {
					return err
				}
				if a.json {
					return a.voice.JSON(struct {
						Type  string `json:"type"`
						Token string `json:"token"`
					}{"token", token})
				}
				return a.voice.Say("%s", token)
			})
		},
	}
}
