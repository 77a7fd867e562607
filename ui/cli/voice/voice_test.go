package voice

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestClean(t *testing.T) {
	for _, one := range []struct{ in, line, text string }{
		{"plain café 日本語 👩‍👩‍👧", "plain café 日本語 👩‍👩‍👧", "plain café 日本語 👩‍👩‍👧"},
		{"a\tb\r\nc", "a b  c", "a\tb\nc"},
		{"\x1b[2Jgone", `\u{1b}[2Jgone`, `\u{1b}[2Jgone`},
		{"c1 \u009b31m", `c1 \u{9b}31m`, `c1 \u{9b}31m`},
		{"exe.\u202efdp", `exe.\u{202e}fdp`, `exe.\u{202e}fdp`},
		{"mark \u200f", `mark \u{200f}`, "mark \u200f"},
		{"over\rwrite", "over write", `over\u{d}write`},
		{"bad \xff", `bad \xff`, `bad \xff`},
		{"bell\a del\x7f", `bell\u{7} del\u{7f}`, `bell\u{7} del\u{7f}`},
		{"ls\u2028", `ls\u{2028}`, `ls\u{2028}`},
	} {
		if got := Line(one.in); got != one.line {
			t.Errorf("Line(%q) = %q, want %q", one.in, got, one.line)
		}
		if got := Text(one.in); got != one.text {
			t.Errorf("Text(%q) = %q, want %q", one.in, got, one.text)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("x\x1b[31m\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{Line(s), Text(s)} {
			if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool {
				return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r <= 0x9f
			}) {
				t.Errorf("%q became %q", s, out)
			}
		}
		if strings.ContainsAny(Line(s), "\n\t") {
			t.Errorf("Line(%q) is not one line", s)
		}
		if w := Width(Clip(Line(s), 9)); w > 9 {
			t.Errorf("Clip made %d columns", w)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if err := json.Unmarshal(text, &before); err != nil {
			t.Fatal(err)
		}
		escaped := escapeJSON(string(text))
		if err := json.Unmarshal([]byte(escaped), &after); err != nil || before != after {
			t.Errorf("%s became %s: %v", text, escaped, err)
		}
	})
}

func TestEscapeJSON(t *testing.T) {
	in := "{\"a\":\"\u202e\u009b\x7f é \U000e0001\"}"
	if got, want := escapeJSON(in), `{"a":"\u202e\u009b\u007f é \udb40\udc01"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRoomy: of a row that is too wide, the roomy column is cut last, and a spare one goes so that it has room.
func TestRoomy(t *testing.T) {
	widths := []int{16, 30, 60, 20, 8}
	l := Layout{Flexible: []int{1, 2, 3}, Spare: []int{3}, Roomy: []int{2}}
	for columns, want := range map[int]string{
		200: "[0 1 2 3 4] [16 30 60 20 8]", 110: "[0 1 2 3 4] [16 16 46 16 8]", 90: "[0 1 2 4] [16 16 44 20 8]",
		80: "[0 1 2 4] [16 16 34 20 8]", 60: "[0 1 2 4] [16 15 15 20 8]",
	} {
		cut := slices.Clone(widths)
		if got := fmt.Sprint((&Voice{columns: columns}).fit(cut, l), cut); got != want {
			t.Errorf("%d columns: %s, want %s", columns, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	v := &Voice{out: w, columns: 24}
	if err := v.Table([]string{"ID", "SUBJECT", "END"}, [][]string{{"1", "a long subject that will not fit", "x"},
		{"22", "日本語", ""}}, Layout{Flexible: []int{1}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 1024)
	n, err := r.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	want := "ID  SUBJECT          END\n1   a long subject…  x\n22  日本語\n"
	if diff := cmp.Diff(want, string(out[:n])); diff != "" {
		t.Error(diff)
	}
}
