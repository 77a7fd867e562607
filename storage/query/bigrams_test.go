package query

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestBigrams(t *testing.T) {
	for in, want := range map[string]string{
		"":              "",
		"hello":         "hello",
		"東":             "東",
		"東京":            "東京",
		"東京都":           "東京 京都",
		"東京都A":          "東京 京都 A",
		"a東b":           "a 東 b",
		"サーバー":          "サー ーバ バー",
		"회의실 예약":        "회의 의실 예약",
		"（東京）":          "（ 東京 ）",
		"東京\n大阪":        "東京\n大阪",
		"人々":            "人々",
		"\xff東\xfe":     "\xff 東 \xfe",
		"①㈱⺀":           "①㈱⺀", // symbols separate words
		"\U00020000𠀁𠀂x": "\U00020000𠀁 𠀁𠀂 x",
	} {
		if got := bigrams(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// checkBigrams holds the properties for any input, valid UTF-8 or not.
func checkBigrams(t interface{ Fatalf(string, ...any) }, s string) {
	got := bigrams(s)
	if bigrams(got) != got {
		t.Fatalf("%q: not idempotent", s)
	}
	if utf8.ValidString(s) && !utf8.ValidString(got) {
		t.Fatalf("%q: became invalid", s)
	}
	if len(got) > 3*len(s)+2 {
		t.Fatalf("%q: grew to %d bytes", s, len(got))
	}
	inner := func(r rune) bool { return !isCJK(r) }
	runs, pairs := strings.FieldsFunc(s, inner), strings.FieldsFunc(got, inner)
	if strip(s) != strip(got) {
		t.Fatalf("%q: other text changed to %q", s, got)
	}
	for _, run := range runs {
		chars := []rune(run)
		for i := range max(1, len(chars)-1) {
			if len(pairs) == 0 || pairs[0] != string(chars[i:min(i+2, len(chars))]) {
				t.Fatalf("%q gives %q: the pairs of %q are wrong", s, got, run)
			}
			pairs = pairs[1:]
		}
	}
	if len(pairs) != 0 {
		t.Fatalf("%q gives %q: %q too many", s, got, pairs)
	}
}

// strip leaves what is neither CJK nor space, byte for byte.
func strip(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isCJK(r) && !unicode.IsSpace(r) {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func TestBigramsProperties(t *testing.T) {
	piece := rapid.OneOf(rapid.String(), rapid.StringMatching(`[一-龥ぁ-んァ-ヴ가-힣ー々]{1,6}`),
		rapid.StringMatching(`[a-z ]{1,4}`))
	rapid.Check(t, func(t *rapid.T) {
		checkBigrams(t, strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), ""))
	})
}

func FuzzBigrams(f *testing.F) {
	for _, seed := range []string{"", "東京都A", "サーバー", "회의실 예약", "\xff東\xfe", "ｻｰﾊﾞｰ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkBigrams(t, s)
		for _, spelling := range []Spelling{Bigrams, Folded} {
			spelling.Text(s)
			spelling.People(People{From: s, To: s, Cc: s, Bcc: s, Others: s})
		}
	})
}

// A sender cannot pass for another by writing the signs into the name.
func TestSignsAreRemoved(t *testing.T) {
	const forged = "a\uE000b\uE001c\uE002d\uE003"
	if got := Bigrams.Text(forged); got != "a b c d " {
		t.Errorf("%q", got)
	}
	if got := Folded.Text(forged); got != "a b c d" {
		t.Errorf("%q", got)
	}
}
