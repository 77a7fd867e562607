package man

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func commands() *cobra.Command {
	root := &cobra.Command{Use: "tool COMMAND", Short: "A tool",
		Long: ".ignored\n'so it is\nC:\\path -x…\n\n  kept  as it is\nand on"}
	run := func(*cobra.Command, []string) error { return nil }
	one := &cobra.Command{Use: "one ARG", Short: "The first", RunE: run, Example: "  tool one x"}
	one.Flags().String("name", "", "a `NAME`")
	root.AddCommand(one, &cobra.Command{Use: "secret", Hidden: true, RunE: run})
	root.PersistentFlags().Bool("all", false, "all of it")
	return root
}

func TestPages(t *testing.T) {
	pages := Pages(commands(), "tool 1.0", "  0  done\n")
	if len(pages) != 2 || pages[0].Name != "tool.1" || pages[1].Name != "tool-one.1" {
		t.Fatalf("%+v", pages)
	}
	for text, want := range map[string][]string{
		pages[0].Text: {".TH \"TOOL\" 1 \"\" \"tool 1.0\"\n", "\ntool \\- A tool\n",
			"\n\\&.ignored\n\\&'so it is\nC:\\epath \\-x\\[u2026]\n.PP\n.nf\n.in 4n\nkept  as it is\n.in\n.fi\nand " +
				"on\n",
			"\none\nThe first\n", "\n.TP\n\\-\\-all\nall of it\n", "\n.SH SEE ALSO\ntool\\-one(1)\n"},
		pages[1].Text: {".TH \"TOOL\\-ONE\" 1 ",
			"\ntool\\-one \\- The first\n", "\ntool one ARG [flags]\n", "\n.TP\n\\-\\-name NAME\na NAME\n",
			"\n.TP\n\\-\\-all\n",
			"\n.in 4n\ntool one x\n.in\n", "\n.TP 6\n0\ndone\n", "\n.SH SEE ALSO\ntool(1)\n"},
	} {
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not in\n%s", part, text)
			}
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "share", "man1")
	if err := Write(dir, Pages(commands(), "", "")); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
	if err := Write(filepath.Join(dir, "tool.1"), nil); err == nil {
		t.Error("a file was taken for a directory")
	}
}
