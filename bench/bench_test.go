package main

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
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
	o := options{messages: 40, bytes: 3000, mailboxes: 3, attachments: 0.1, rounds: 1,
		rtts: []time.Duration{0, 2 * time.Millisecond},
		seed: 1, mailcote: "none", mbsync: "mbsync"}
	err := run(t.Context(), &out, o)
	if missing := errors.Is(err, exec.ErrNotFound) || errors.Is(err, dovecot.ErrMissing); missing &&
		os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"40 messages", "mbsync", "drain", "second sync", "peak RSS", "CPU of the server",
		"0s round trip", "2ms round trip"} {
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

// The program still has the place where a profile is put around its run.
func TestOverlay(t *testing.T) {
	list, err := overlay(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(list)
	var files struct{ Replace map[string]string }
	if err = errors.Join(err, json.Unmarshal(text, &files)); err != nil || len(files.Replace) != 2 {
		t.Fatalf("%s: %v", text, err)
	}
	for _, path := range files.Replace {
		if _, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.AllErrors); err != nil {
			t.Error(err)
		}
	}
}

func TestRTTs(t *testing.T) {
	if got, err := parseRTTs("0,50ms"); err != nil || len(got) != 2 || got[0] != 0 || got[1] != 50*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "50", "-1ms", "50ms,"} {
		if got, err := parseRTTs(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestSummary(t *testing.T) {
	const progress = `{"type":"progress","fetched":3}` + "\n"
	complete := progress + `{"type":"summary","account":"a","fetched":7,"result":"complete",` +
		`"readable_seconds":1.5,"seconds":1.75}` + "\n"
	if s, err := lastSummary(complete); err != nil || s.Fetched != 7 {
		t.Errorf("summary %+v, %v", s, err)
	}
	if r, s := mailcote("x").times(complete); r != 1500*time.Millisecond || s != 1750*time.Millisecond {
		t.Errorf("readable after %v, searchable after %v", r, s)
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
	// a ratio is that of a round, whatever the rounds before and after were
	columns := []column{{"mailcote", walls(time.Second, 4*time.Second, 90*time.Second)},
		{"mbsync", walls(2*time.Second, 5*time.Second, 3*time.Second)}}
	if err := report(&out, columns, 1, 100); err != nil {
		t.Fatal(err)
	}
	var line []string
	for l := range strings.Lines(out.String()) {
		if strings.Contains(l, "first sync (") {
			line = strings.Fields(l)
		}
	}
	if got := strings.Join(line, " "); got != "first sync (searchable) 4.000 s 3.000 s 0.80" {
		t.Errorf("line %q in\n%s", got, out.String())
	}
}
