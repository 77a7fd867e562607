package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/testkit/dovecot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	o := options{messages: 40, bytes: 3000, mailboxes: 3, attachments: 0.1, rtt: 2 * time.Millisecond, rounds: 1,
		seed: 1, mailcote: "none"}
	err := run(t.Context(), &out, o)
	if missing := errors.Is(err, exec.ErrNotFound) || errors.Is(err, dovecot.ErrMissing); missing &&
		os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"40 messages", "mbsync", "drain", "second sync", "peak RSS"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestBadOptions(t *testing.T) {
	if err := run(t.Context(), &strings.Builder{}, options{}); err == nil {
		t.Error("no messages in no mailboxes ran")
	}
}

func TestSummary(t *testing.T) {
	const progress = `{"type":"progress","fetched":3}` + "\n"
	complete := progress + `{"type":"summary","account":"a","fetched":7,"result":"complete",` +
		`"readable_seconds":1.5}` + "\n"
	if s, err := lastSummary(complete); err != nil || s.Fetched != 7 {
		t.Errorf("summary %+v, %v", s, err)
	}
	if got := mailcote("x").readable(complete); got != 1500*time.Millisecond {
		t.Errorf("readable after %v", got)
	}
	for _, bad := range []string{"", progress, strings.Replace(complete, "complete", "partial", 1)} {
		if _, err := lastSummary(bad); err == nil {
			t.Errorf("%q passed for a complete sync", bad)
		}
	}
}

func TestReport(t *testing.T) {
	walls := func(ds ...time.Duration) (all []result) {
		for _, d := range ds {
			all = append(all, result{first: outcome{wall: d}})
		}
		return all
	}
	var out strings.Builder
	columns := []column{{"mailcote", walls(2*time.Second, time.Second, 9*time.Second)},
		{"mbsync", walls(10*time.Second, 6*time.Second)}}
	if err := report(&out, columns, 1, 100); err != nil {
		t.Fatal(err)
	}
	var line []string
	for l := range strings.Lines(out.String()) {
		if strings.Contains(l, "first sync (") {
			line = strings.Fields(l)
		}
	}
	if got := strings.Join(line, " "); got != "first sync (searchable) 2.000 s 8.000 s 0.25" {
		t.Errorf("line %q in\n%s", got, out.String())
	}
}
