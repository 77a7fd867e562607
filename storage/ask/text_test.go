package ask

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func FuzzOneStatement(f *testing.F) {
	for _, seed := range []string{"SELECT 1", "SELECT ';' ; -- x", "/* ; */ VACUUM", "[;] \"", "'it''s;'", "-", "/",
		"--", "/*", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, rest := cutStatement(text)
		if first+";"+rest != text && (first != text || rest != "") {
			t.Errorf("%q was cut into %q and %q", text, first, rest)
		}
		if oneStatement(text) == nil && oneStatement(text+"\n;SELECT 1") == nil {
			// Legal only when an open quote or comment swallows the rest.
			if !strings.ContainsAny(text, "'\"`[") && !strings.Contains(text, "/*") {
				t.Errorf("a second statement behind %q was let through", text)
			}
		}
	})
}
