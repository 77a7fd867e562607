package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"mailcote/engine"
	"mailcote/engine/imap"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/owner"
	"mailcote/storage/query"
)

func TestStatusOf(t *testing.T) {
	for _, one := range []struct {
		err  error
		want Status
	}{
		{nil, Done},
		{errors.New("anything"), Failed},
		{usagef("x"), Usage},
		{fmt.Errorf("y: %w", engine.ErrURL), Usage},
		{&query.SyntaxError{}, Usage},
		{fmt.Errorf("z: %w", &owner.HeldError{}), Temporary},
		{fmt.Errorf("z: %w", storage.ErrFull), Temporary},
		{fmt.Errorf("z: %w", &engine.TooSoonError{Account: "ada"}), Temporary},
		{explained(fmt.Errorf("z: %w", storage.ErrFull)), Temporary},
		{fmt.Errorf("z: %w", storage.ErrNewer), Failed},
		{storage.ErrMissing, Failed},
		{&ended{Denied}, Denied},
		{errors.Join(&ended{Partly}, nil), Partly},
		{explained(&failure{Denied, imap.ErrPlainRefused}), Denied},
	} {
		if got := statusOf(one.err); got != one.want {
			t.Errorf("%v: status %d, want %d", one.err, got, one.want)
		}
	}
}

func TestCombined(t *testing.T) {
	complete := engine.Summary{Result: engine.Complete}
	partial := engine.Summary{Result: engine.Partial}
	failed := func(c class.Class) engine.Summary { return engine.Summary{Result: engine.Failed, Class: c} }
	for _, one := range []struct {
		all  []engine.Summary
		want Status
	}{
		{nil, Done},
		{[]engine.Summary{complete, complete}, Done},
		{[]engine.Summary{partial}, Partly},
		{[]engine.Summary{{Result: engine.Partial, Class: "network"}}, Temporary},
		{[]engine.Summary{{Result: engine.Partial, Class: "storage", Err: storage.ErrFull}}, Temporary},
		{[]engine.Summary{failed("auth")}, Denied},
		{[]engine.Summary{failed("auth"), failed("auth")}, Denied},
		{[]engine.Summary{failed("network"), failed("timeout"), failed("quota")}, Temporary},
		{[]engine.Summary{failed("auth"), failed("network")}, Partly},
		{[]engine.Summary{complete, failed("network")}, Partly},
		{[]engine.Summary{failed("tls")}, Failed},
		{[]engine.Summary{failed("storage")}, Failed},
		{[]engine.Summary{{Result: engine.Failed, Class: "storage", Err: fmt.Errorf("commit: %w", storage.ErrFull)}},
			Temporary},
		{[]engine.Summary{{Result: engine.Failed, Interrupted: true}}, Partly},
	} {
		if got := combined(one.all); got != one.want {
			t.Errorf("%+v: status %d, want %d", one.all, got, one.want)
		}
	}
}

// TestReadme holds README to the table.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statusTable() {
		if line := fmt.Sprintf("| %d | %s |", s.Status, s.Means); !strings.Contains(string(text), line) {
			t.Errorf("README lacks %q", line)
		}
	}
}
