package voice

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

// TestForeignText: wherever text of others comes out, nothing of it is left that
// a terminal obeys or that hides or turns what is read.
func TestForeignText(t *testing.T) {
	for name, foreign := range map[string]string{
		"colour":        "\x1b[31mred\x1b[0m",
		"title":         "\x1b]0;title\a",
		"clipboard":     "\x1b]52;c;aGk=\x1b\\",
		"C1":            "\u009b2J\u0090q\u009c",
		"raw C1":        "\x9b2J",
		"cursor":        "\x1b[1A\x1b[2K\b\b\b",
		"line breaks":   "a\r\nb\rc\vd\fe",
		"right to left": "\u202egpj.exe\u202c \u2066x\u2069",
		"invisible":     "a\u200bb\u00adc\u2060d\ufeffe",
		"separators":    "a\u2028b\u2029c",
		"delete, null":  "a\x7fb\x00c",
		"half a letter": "\xe2\x82",
		"tags":          "x\U000e0001y",
	} {
		for way, say := range map[string]func(*Voice) error{
			"head": func(v *Voice) error { return v.Table([]string{foreign, "x"}, [][]string{{"1", "2"}}, Layout{}) },
			"last head": func(v *Voice) error {
				return v.Table([]string{"x", foreign}, [][]string{{"1", "2"}}, Layout{Flexible: []int{1}})
			},
			"cell":      func(v *Voice) error { return v.Table(nil, [][]string{{foreign, foreign}}, Layout{}) },
			"paragraph": func(v *Voice) error { return v.Para("  ", foreign) },
			"error":     func(v *Voice) error { v.Fail(errors.New(foreign)); return nil },
			"note":      func(v *Voice) error { v.Note("%s", Line(foreign)); return nil },
			"line":      func(v *Voice) error { return v.Say("%s", Line(foreign)) },
			"JSON":      func(v *Voice) error { return v.JSON(map[string]string{foreign: foreign}) },
		} {
			for _, columns := range []int{0, 20} {
				var out strings.Builder
				v := &Voice{out: &out, err: &out, columns: columns, errColumns: columns, dumb: true}
				if err := say(v); err != nil {
					t.Fatal(err)
				}
				text := out.String()
				if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), func(r rune) bool {
					return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
				}) || strings.ToValidUTF8(text, "") != text || text == "" {
					t.Errorf("%s as %s: %q", name, way, text)
				}
				if columns == 0 && way != "JSON" && !strings.HasSuffix(way, "head") && strings.Count(text, "\n") != 1 {
					t.Errorf("%s as %s takes more than a line: %q", name, way, text)
				}
			}
		}
	}
}
