package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "mailcote COMMAND",
		Short: "A complete, searchable copy of your IMAP mail in one file",
		Long:  "mailcote keeps a complete, searchable, always-current copy of your IMAP accounts in one SQLite file.",
		Example: `  mailcote demo                                 see it work, nothing kept
  mailcote account add imaps://you@example.org  add an account
  mailcote sync                                 fetch what is new
  mailcote search from:anna invoice             find mail
  mailcote run --open                           keep in sync and show the page`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if version {
				return a.printVersion()
			}
			return group(c, args)
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.store, "store", "", "the store `FILE` (also MAILCOTE_STORE)")
	flags.BoolVar(&a.json, "json", false, "print JSON, one value a line")
	flags.BoolVar(&a.voice.Quiet, "quiet", false, "say nothing but data and errors")
	flags.BoolVar(&a.voice.NoColor, "no-color", false, "no colour (also NO_COLOR)")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "print what goes over the wire to stderr, passwords masked")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(a.demo(), a.run(), a.sync(), a.account(), a.mailbox(), a.status(), a.orFresh(a.search()), a.show(),
		a.queue(), a.errors(), a.check(), a.export(), a.backup(), a.restore(), a.sql(), a.token(), a.manual(),
		a.version())
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	strict(root)
	a.completeFlags(root)
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.SetHelpTemplate(helpTemplate())
	root.SetHelpFunc(a.help(root.HelpFunc()))
	root.SetUsageTemplate(helpTemplate())
	return root
}

// group runs a command that has subcommands only. Without arguments it prints
// help. An unknown word gets a hint.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		if asked, _ := c.Flags().GetBool("json"); asked { //nolint:errcheck // the flag is everywhere
			return usagef("COMMAND is missing: %s --help lists the commands", c.CommandPath())
		}
		return c.Help()
	}
	hint := ""
	if c.SuggestionsMinimumDistance == 0 {
		c.SuggestionsMinimumDistance = 2
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? "
	}
	return usagef("unknown command %s: %s%s --help lists the commands", typed(args[0]), hint, c.CommandPath())
}

// helpCommand is help as a command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help COMMAND", Short: "Say what a command does", Args: cobra.ArbitraryArgs,
		Example: "  mailcote help account add",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %s: %s --help lists the commands", typed(strings.Join(args, " ")),
					c.Root().CommandPath())
			}
			return about.Help()
		},
	}
}

// strict makes commands that came with cobra refuse what they do not understand.
func strict(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args, c.RunE = cobra.ArbitraryArgs, group
		for _, shell := range c.Commands() {
			shell.Args = exactly(0, "")
		}
	}
}

// exactly checks the number of arguments; names says what they are.
func exactly(n int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usagef("%s is missing: %s", names, c.UseLine())
		case len(args) > n && n == 0:
			return usagef("%s takes no argument, not %s: see %s --help", c.CommandPath(), typed(args[0]),
				c.CommandPath())
		case len(args) > n:
			return usagef("%s takes only %s: put quotes around what belongs together", c.CommandPath(), names)
		}
		return nil
	}
}

// help makes help fit the terminal.
func (a *app) help(print func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(c *cobra.Command, args []string) {
		var text strings.Builder
		out := c.OutOrStdout()
		c.SetOut(&text)
		print(c, args)
		c.SetOut(out)
		_, _ = io.WriteString(out, a.voice.Help(text.String())) // there is nobody to tell
	}
}

// statusLines says what each exit status means.
func statusLines() string {
	var lines strings.Builder
	for _, s := range statusTable() {
		fmt.Fprintf(&lines, "  %-3d %s\n", s.Status, s.Means)
	}
	return lines.String()
}

// helpTemplate puts examples first and exit statuses last.
func helpTemplate() string {
	return `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if .HasExample}}Examples:
{{.Example}}

{{end}}Usage:
  {{.UseLine}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Everywhere:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}

Exit status:
` + statusLines()
}

// flagError says which flag is wrong, without the names of Go's functions.
func flagError(c *cobra.Command, err error) error {
	text := strings.TrimSpace(err.Error())
	if before, after, cut := strings.Cut(text, ": strconv."); cut {
		if _, why, known := strings.Cut(after, "\": "); known {
			text = before + ": " + why
		}
	}
	text = strings.Replace(text, " flag: time: ", " flag: ", 1)
	return usagef("%s: see %s --help", text, c.CommandPath())
}
