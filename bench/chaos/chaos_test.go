package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"mailcote/testkit/dovecot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestChaos is the short form: some seconds of everything at once.
func TestChaos(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), &out, options{minutes: 0.2, messages: 100, seed: 1})
	if errors.Is(err, dovecot.ErrMissing) && os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip(err)
	}
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), " 0 differ") {
		t.Error("no verdict")
	}
}

func TestBadOptions(t *testing.T) {
	if err := run(t.Context(), &strings.Builder{}, options{}); err == nil {
		t.Error("no messages for no time ran")
	}
}
