package voice

import (
	"errors"
	"strings"
	"testing"
)

// TestScreen: a picture fits the terminal, and nothing is left of the one before.
func TestScreen(t *testing.T) {
	var out strings.Builder
	v := &Voice{out: &out, OutTTY: true, columns: 80, rows: 4}
	long := strings.Repeat("long ", 40)
	if err := v.Screen([]string{"a", long, "c", "d", "e"}); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[Ha\x1b[K\n" + long[:79] + "…\x1b[K\nc\x1b[K\n\x1b[J"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// TestPara: no line is longer than the terminal, and nothing is cut inside a word that fits.
func TestPara(t *testing.T) {
	var out strings.Builder
	v := &Voice{out: &out, OutTTY: true, columns: 20}
	if err := v.Para("  → ", "check the network, or wait: it is tried again"); err != nil {
		t.Fatal(err)
	}
	want := "  → check the\n    network, or\n    wait: it is\n    tried again\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	v.columns = 0
	if err := v.Para("  → ", "one line elsewhere, however long it is"); err != nil ||
		strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestFold: what is said on stderr is broken between words on a terminal, whose colours take no room, and is one line
// elsewhere. A word that is too long, and text that has lines, stay whole.
func TestFold(t *testing.T) {
	const long, path = "the server refused the password: check it", "/a/path/longer/than/the/terminal/is"
	for say, want := range map[string]string{
		"fail":  "\x1b[31mmailcote\x1b[0m: the server\n  refused the\n  password: check it\n",
		"warn":  "mailcote: \x1b[33mwarning\x1b[0m:\n  the server refused\n  the password: check\n  it\n",
		"note":  "the server refused\n  the password: check\n  it\n",
		"path":  "kept as\n  " + path + "\n",
		"lines": "first\n" + path + " " + path + "\n",
	} {
		for _, columns := range []int{21, 0} {
			var errs strings.Builder
			v := &Voice{err: &errs, ErrTTY: true, errColumns: columns}
			switch say {
			case "fail":
				v.Fail(errors.New(long))
			case "warn":
				v.Warn("%s", long)
			case "note":
				v.Note("%s", long)
			case "path":
				v.Note("kept as %s", path)
			case "lines":
				v.Note("first\n%s %s", path, path)
			}
			if columns == 0 && say != "lines" {
				want = strings.ReplaceAll(strings.TrimSpace(want), "\n  ", " ") + "\n"
			}
			if errs.String() != want {
				t.Errorf("%s in %d columns: %q, want %q", say, columns, errs.String(), want)
			}
		}
	}
}

// TestLayout: a narrow terminal leaves out spare columns before it cuts the
// flexible ones too much. A wide one and a file get everything.
func TestLayout(t *testing.T) {
	head := []string{"ID", "NAME", "SPARE", "END"}
	rows := [][]string{{"1", "a name that is long", "twelve cells", "x"}}
	for _, c := range []struct {
		columns int
		want    string
	}{
		{0, "ID  NAME                 SPARE         END\n1   a name that is long  twelve cells  x\n"},
		{42, "ID  NAME                 SPARE         END\n1   a name that is long  twelve cells  x\n"},
		{39, "ID  NAME              SPARE         END\n1   a name that is …  twelve cells  x\n"},
		{38, "ID  NAME                 END\n1   a name that is long  x\n"},
		{20, "ID  NAME         END\n1   a name tha…  x\n"},
	} {
		var out strings.Builder
		v := &Voice{out: &out, columns: c.columns}
		err := v.Table(head, rows, Layout{Flexible: []int{1}, Spare: []int{2}})
		if err != nil || out.String() != c.want {
			t.Errorf("%d columns: %v\n%s", c.columns, err, out.String())
		}
	}
}

// TestHelp: what stands in a second column goes on there, and examples stay
// whole.
func TestHelp(t *testing.T) {
	v := &Voice{columns: 24}
	got := v.Help("A sentence that is too long.\n\nExamples:\n  mailcote search from:anna invoice\n\n" +
		"Exit status:\n  75  temporary, try it again\n")
	want := "A sentence that is too\nlong.\n\nExamples:\n  mailcote search from:anna invoice\n\n" +
		"Exit status:\n  75  temporary, try it\n      again\n"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestMarked: what was found is strong, nothing is obeyed by the terminal, and the line fits it.
func TestMarked(t *testing.T) {
	v := &Voice{OutTTY: true, columns: 20}
	for text, want := range map[string]string{
		"a red \x1b[31mrose": "  a \x1b[1mred\x1b[0m \\u{1b}[31mro",
		"a red":              "  a \x1b[1mred\x1b[0m",
		"a r":                "  a \x1b[1mr\x1b[0m",
		"":                   "",
	} {
		if got := v.Marked(2, text, [][2]int{{2, 5}}); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	var out strings.Builder
	v.out = &out
	if err := v.Table([]string{"A"}, [][]string{{"one"}, {"two"}}, Layout{Under: []string{"", "  under"}}); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[2mA\x1b[0m\none\ntwo\n  under\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
