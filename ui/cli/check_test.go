package cli_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/ui/demo"
)

// TestCheckFinds damages a store and wants check to say so with status 1.
func TestCheckFinds(t *testing.T) {
	server, err := demo.Start(t.Context(), demo.Options{Seed: 13, Messages: 20})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // the scripts test it
	h := newHome(t, "unused")
	h.run("sync", server.URL(), "--once")
	h.run("check", "--json")
	ctx := context.Background()
	st, err := storage.Open(ctx, filepath.Join(h.dir, "t.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	err = st.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		_, err := tables.In(w).Exec(`UPDATE mailbox SET total = total + 1 WHERE path = 'INBOX'`)
		return err
	})
	if err := errors.Join(err, st.Close()); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check"}, {"check", "--json"}} {
		out, err := h.command(args...).Output()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%v: %v, want status 1", args, err)
		}
		if !strings.Contains(string(out), "INBOX") {
			t.Errorf("%v does not name INBOX: %s", args, out)
		}
	}
}
