package cli

import (
	"os"
	"testing"

	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

// A terminal shows 8 characters of an id: the letter and the beginning of the random part.
func TestTableID(t *testing.T) {
	a := &app{voice: voice.New(os.Stdin, os.Stdout, os.Stderr)}
	for _, one := range []struct {
		id, short string
	}{
		{"evvv0000a3k7q9bd51hs0mto2", "e3k7q9bd"}, {"e3k7q9bd51hs0mto20000000a", "e3k7q9bd"}, {"e3k7", "e3k7"},
	} {
		for _, terminal := range []bool{false, true} {
			want := one.id
			if terminal {
				want = one.short
			}
			a.voice.OutTTY = terminal
			if got := a.tableID(storage.EmailID(one.id)); got != want {
				t.Errorf("%s, terminal %v: %s, want %s", one.id, terminal, got, want)
			}
		}
	}
}
