// Package man writes the manual pages of commands, in the language of man(7).
//
// What always holds: a page says what the command's help says, in the same
// words. Nothing of a text is taken for an instruction of the
// language, whatever it begins with.
package man

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Page is one manual page, of section 1.
type Page struct {
	Name string // of its file, such as mailcote-account-add.1
	Text string
}

// Pages makes a page for a command and for each that is below it. version is
// what the foot of each page says. statuses has a line for each exit status: the
// status, and what it means.
func Pages(c *cobra.Command, version, statuses string) []Page {
	pages := []Page{{name(c) + ".1", page(c, version, statuses)}}
	for _, one := range c.Commands() {
		if one.IsAvailableCommand() {
			pages = append(pages, Pages(one, version, statuses)...)
		}
	}
	return pages
}

// Write writes pages into a directory, which is made if it is not there.
func Write(dir string, pages []Page) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	for _, one := range pages {
		if err := os.WriteFile(filepath.Join(dir, one.Name), []byte(one.Text), 0o644); err != nil {
			return fmt.Errorf("manual pages: %w", err)
		}
	}
	return nil
}

func name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func page(c *cobra.Command, version, statuses string) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH \"%s\" 1 \"\" \"%s\"\n", escape(strings.ToUpper(name(c))), escape(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", escape(name(c)), escape(c.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", escape(c.UseLine()))
	if c.Long != "" {
		b.WriteString(".SH DESCRIPTION\n")
		running(&b, c.Long)
	}
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, one := range c.Commands() {
			if one.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP %d\n%s\n%s\n", c.NamePadding()+2, escape(one.Name()), escape(one.Short))
			}
		}
	}
	flags(&b, "OPTIONS", c.NonInheritedFlags())
	flags(&b, "OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	if c.Example != "" {
		section(&b, "EXAMPLES", c.Example)
	}
	b.WriteString(".SH EXIT STATUS\n")
	for line := range strings.Lines(statuses) {
		status, means, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Fprintf(&b, ".TP 6\n%s\n%s\n", escape(status), escape(strings.TrimSpace(means)))
	}
	var others []string
	if c.HasParent() {
		others = append(others, name(c.Parent())+"(1)")
	}
	for _, one := range c.Commands() {
		if one.IsAvailableCommand() {
			others = append(others, name(one)+"(1)")
		}
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", escape(strings.Join(others, ", ")))
	return b.String()
}

// flags writes each flag over what it does, which is broken anew.
func flags(b *strings.Builder, title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for line := range strings.Lines(set.FlagUsages()) {
		flag, does, _ := strings.Cut(strings.TrimSpace(line), "  ")
		fmt.Fprintf(b, ".TP\n%s\n%s\n", escape(flag), escape(strings.TrimSpace(does)))
	}
}

// Text whose lines stay as they are begins at column 4, so that a line of Width
// fits in a terminal of 80 columns.
const (
	keep = ".nf\n.in 4n\n"
	fill = ".in\n.fi\n"

	// Width is how long a line may be that is not broken, without its indent.
	Width = 76
)

// section writes text whose lines stay as they are.
func section(b *strings.Builder, title, text string) {
	fmt.Fprintf(b, ".SH %s\n%s", title, keep)
	for line := range strings.Lines(text) {
		b.WriteString(escape(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  ")) + "\n")
	}
	b.WriteString(fill)
}

// running writes text whose lines are broken anew. Those that are indented stay
// as they are.
func running(b *strings.Builder, text string) {
	kept := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if indented := strings.HasPrefix(line, " "); indented != kept {
			if kept = indented; kept {
				b.WriteString(keep)
			} else {
				b.WriteString(fill)
			}
		}
		if line == "" {
			line = ".PP"
		} else {
			line = escape(strings.TrimPrefix(line, "  "))
		}
		b.WriteString(line + "\n")
	}
	if kept {
		b.WriteString(fill)
	}
}

// escape makes text mean itself: a backslash, and a point or an apostrophe that
// begins a line, would be instructions, and a hyphen is to be copied as one. A
// page is in ASCII.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r >= utf8.RuneSelf:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
