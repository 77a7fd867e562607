package voice

import (
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
