package message

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBrackets: a bracket too many is part of no name.
func TestBrackets(t *testing.T) {
	ada := []Address{{Name: "Ada", Email: "ada@example.org"}}
	for in, want := range map[string][]Address{
		"Ada <<ada@example.org>>":           ada,
		"Ada <ada@example.org>>":            ada,
		"Ada <<<ada@example.org>>>":         ada,
		"Ada < <ada@example.org> >":         ada,
		"<<ada@example.org>> Ada":           ada,
		"Ada <<ada@example.org>>, b@c":      {ada[0], {Email: "b@c"}},
		"a > b <ada@example.org>":           {{Name: "a > b", Email: "ada@example.org"}},
		`"Ada > Co" <<ada@example.org>>`:    {{Name: "Ada > Co", Email: "ada@example.org"}},
		"Ada <<ada@example.org>> (of > Co)": ada,
	} {
		if got := ParseAddressList(in); !cmp.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
