package query

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// byTables does what letters does, by the tables of Unicode alone.
func byTables(s string, each func(r rune)) {
	for i := 0; i < len(s); {
		n := max(1, norm.NFKC.NextBoundaryInString(s[i:], true))
		var form []byte
		for _, r := range string(norm.NFKD.AppendString(nil, s[i:i+n])) {
			fold(r, func(r rune) bool { form = utf8.AppendRune(form, r); return true })
		}
		for _, r := range string(norm.NFC.Bytes(form)) {
			each(r)
		}
		i += n
	}
}

// checkFolded compares the ways for letters that are common, and for ASCII, with the one for all text.
func checkFolded(t interface{ Fatalf(string, ...any) }, text string) {
	var quick, slow []rune
	letters(text, func(r rune, _, _ int) bool { quick = append(quick, r); return true })
	byTables(text, func(r rune) { slow = append(slow, r) })
	if !slices.Equal(quick, slow) {
		t.Fatalf("the letters of %q are %q, by the tables %q", text, string(quick), string(slow))
	}
	for _, sign := range []rune{0, fromSign} {
		var all []string
		words(text, func(w word) bool {
			if sign != 0 {
				w.text = string(sign) + w.text
			}
			all = append(all, w.text)
			return true
		})
		if got, want := folded(text, sign), strings.Join(all, " "); got != want {
			t.Fatalf("%q is folded to %q, word by word it is %q", text, got, want)
		}
	}
}

func TestFolded(t *testing.T) {
	for _, text := range []string{"", " ", "Hello, World-42!", "naïve café", "a b\u0301c d", "- \u0301x", "x-\u0338y",
		"=\u0338", "soft\u00adhyphen next", "東京都A b", "a 東 京", "😀😀 😀", "😀 x😀", "\xff a\xffb c\xff",
		"e\u0301 E\u0301", "A\u0000B",
		"<\u0338", "STRASSE Straße x", "1\u20442 ½", "\u0301a", "a\u0301", "ﬁn fi", "\ue000a \ue001",
		"\u1100\u1161", "x\u1112\u1161\u11ab東", "ｶﾞ ﾊﾟ",
		"か\u3099", "각\u11a8"} {
		checkFolded(t, text)
	}
	pieces := rapid.SliceOf(rapid.OneOf(rapid.SampledFrom([]string{" ", "a", "Zz", "-", "\u0301", "\u0338", "é",
		"東", "都", "😀", "\u00ad", "\xff", "1", "½", "ß", "\r\n", "<", "ก", "\u0e31", "각", "\u1100", "\u1161", "\ue000"}),
		rapid.String()))
	rapid.Check(t, func(t *rapid.T) { checkFolded(t, strings.Join(pieces.Draw(t, "pieces"), "")) })
}

// The letters that are folded without the tables of Unicode are folded as with them.
func TestLetter(t *testing.T) {
	known := 0
	for r := rune(1); r <= 0xFFFF; r++ {
		if letter(r) == 0 {
			continue
		}
		known++
		var want []rune
		for _, d := range norm.NFKD.String(string(r)) {
			fold(d, func(r rune) bool { want = append(want, r); return true })
		}
		if got := string(letter(r)); got != norm.NFC.String(string(want)) {
			t.Errorf("%c is folded to %s, by the tables to %s", r, got, string(want))
		}
		checkFolded(t, string(r)+"\u0301"+string(r)+"x")
	}
	if want := 2*26 + 57 + 0x5200; known != want {
		t.Errorf("%d letters, want %d", known, want)
	}
	for r := rune(0x4E00); r <= 0x9FFF; r++ {
		if p := norm.NFKC.PropertiesString(string(r)); !p.BoundaryBefore() || p.Decomposition() != nil {
			t.Fatalf("%c joins what is before it, or has another form", r)
		}
	}
}

// A folded text keeps no more memory than its words take, however large the text was.
func TestFoldedIsSmall(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	text := strings.Repeat("----------\n", 100_000) + "word"
	before := heap()
	var kept []string
	for range 20 {
		kept = append(kept, folded(text, 0))
	}
	if grew := heap() - before; grew > 1<<20 {
		t.Errorf("%d texts of %d bytes keep %d", len(kept), len(kept[0]), grew)
	}
	runtime.KeepAlive(kept)
}

// A mark belongs to the letter before it, so that a snippet shows both.
func TestMarkIsOfTheLetter(t *testing.T) {
	for _, text := range []string{"e\u0301", "é\u0301", "E\u0301"} {
		words(text, func(w word) bool {
			if w.text != "e" || w.end != len(text) {
				t.Errorf("%q: %+v", text, w)
			}
			return true
		})
	}
}

func FuzzFolded(f *testing.F) {
	f.Add("Grüße aus 東京, see page 42")
	f.Fuzz(func(t *testing.T, s string) { checkFolded(t, s) })
}

func BenchmarkFolded(b *testing.B) {
	for name, sentence := range map[string]string{
		"english": "The meeting about invoice 4711 is moved to Thursday at 10:30, see the attached plan.\n",
		"german":  "Die Besprechung über Rechnung 4711 ist auf Donnerstag 10:30 verschoben, der Plan hängt an.\n",
		"chinese": "关于发票4711的会议推迟到星期四10:30，请看附件中的计划。\n",
	} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(sentence, 40)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				folded(text, 0)
			}
		})
	}
}
