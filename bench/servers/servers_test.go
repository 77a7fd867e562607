package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/unpacked"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestServers is the short form: the servers that the gate has, odd names, and some rounds of changes. The full form
// is the program's own.
func TestServers(t *testing.T) {
	o := options{servers: "cyrus,courier", rounds: 3, kills: 1, seed: form.Seed(t, 1)}
	if form.Long() {
		o = options{servers: "cyrus,courier,dovecot-maildir,dovecot-mdbox,dovecot-mbox,dovecot-shared", rounds: 30,
			kills: 10, seed: o.seed}
	}
	var out strings.Builder
	err := run(t.Context(), &out, o)
	missing := errors.Is(err, unpacked.ErrMissing) || errors.Is(err, dovecot.ErrMissing)
	if missing && os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip(err)
	}
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
}
