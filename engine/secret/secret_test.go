package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "c4n4ry-s3cr3t"

// holder keeps a secret where fmt cannot ask it how it wants to be printed.
type holder struct {
	name string
	pass Secret
}

// TestNeverPrinted: no formatter, encoder or logger gives a secret away,
// wherever it is held.
func TestNeverPrinted(t *testing.T) {
	s := New(canary)
	if s.Reveal() != canary || s.Empty() || !New("").Empty() || !(Secret{}).Empty() || (Secret{}).Reveal() != "" {
		t.Fatal("a secret is not what it was made of")
	}
	shapes := map[string]any{
		"value": s, "pointer": &s, "slice": []Secret{s}, "map": map[string]Secret{"k": s},
		"field":        struct{ P Secret }{s},
		"hidden field": holder{"n", s}, "pointer to hidden field": &holder{"n", s},
		"hidden in map": map[int]holder{1: {"n", s}}, "interface": []any{s, holder{"n", s}},
	}
	for name, shape := range shapes {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%10.3s", "%t",
			"%c", "%U", "%e"} {
			if out := fmt.Sprintf(verb, shape); leaks(out) {
				t.Errorf("%s, %s: %s", name, verb, out)
			}
		}
		if out, _ := json.Marshal(shape); leaks(string(out)) { // what cannot be encoded leaks nothing
			t.Errorf("%s, json: %s", name, out)
		}
		if out, _ := xml.Marshal(shape); leaks(string(out)) {
			t.Errorf("%s, xml: %s", name, out)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", shape)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "k", shape, slog.Any("g", shape))
		if leaks(log.String()) {
			t.Errorf("%s, slog: %s", name, log.String())
		}
		if out := fmt.Errorf("x: %v", shape).Error(); leaks(out) {
			t.Errorf("%s, error: %s", name, out)
		}
	}
	if out := fmt.Sprint(s); out != "•••" {
		t.Errorf("prints %q", out)
	}
}

func leaks(out string) bool {
	hex := fmt.Sprintf("%x", canary)
	return strings.Contains(out, canary) || strings.Contains(strings.ToLower(out), hex) ||
		strings.Contains(out, canary[:6])
}

func TestRef(t *testing.T) {
	for _, r := range []Ref{{}, {Saved, ""}, {File, "/a:b c"}, {Command, "pass show 'x:y'"}} {
		if got, err := ParseRef(r.String()); err != nil || got != r {
			t.Errorf("%+v: %+v %v", r, got, err)
		}
	}
	if _, err := ParseRef("plain:" + canary); err == nil {
		t.Error("an unknown kind was read")
	}
}

// wide is ASCII text in UTF-16. zero is where the zero octet of each pair follows: 0 before, 1 behind.
func wide(text string, zero int) string {
	var b strings.Builder
	for i := range len(text) {
		pair := []byte{text[i], text[i]}
		pair[zero] = 0
		b.Write(pair)
	}
	return b.String()
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	box := Box{filepath.Join(dir, "mail.db.secrets")}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := box.Put("ada@example.org", New(canary)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		ref  Ref
		key  string
		want string // "": an error that says:
		says string
	}{
		{name: "file", ref: Ref{File, write("one", canary+"\nrest\n")}, want: canary},
		{name: "file with CRLF", ref: Ref{File, write("crlf", canary+"\r\n")}, want: canary},
		{name: "file without line end, with spaces", ref: Ref{File, write("bare", " "+canary+" ")}, want: " " +
			canary + " "},
		{name: "file with a byte order mark", ref: Ref{File, write("bom", "\ufeff"+canary+"\r\nrest")}, want: canary},
		{name: "mark inside", ref: Ref{File, write("inside", canary+"\ufeff\n")}, want: canary + "\ufeff"},
		{name: "file with a mark alone", ref: Ref{File, write("mark", "\ufeff\r\n"+canary)}, says: "line is empty"},
		{name: "UTF-16, little endian", ref: Ref{File, write("le", "\xff\xfe"+wide(canary, 1))}, says: "as UTF-8"},
		{name: "UTF-16, big endian", ref: Ref{File, write("be", "\xfe\xff"+wide(canary, 0))}, says: "as UTF-8"},
		{name: "UTF-16 without a mark", ref: Ref{File, write("wide", wide(canary, 1))}, says: "as UTF-8"},
		{name: "empty file", ref: Ref{File, write("empty", "")}, says: "first line is empty"},
		{name: "empty line", ref: Ref{File, write("line", "\n"+canary)}, says: "first line is empty"},
		{name: "no file", ref: Ref{File, filepath.Join(dir, "none")}, says: "password file"},
		{name: "directory", ref: Ref{File, dir}, says: "password file"},
		{name: "saved", ref: Ref{Kind: Saved}, key: "ada@example.org", want: canary},
		{name: "saved by another name", ref: Ref{Kind: Saved, Value: "ada@example.org"}, key: "ada@127.0.0.1",
			want: canary},
		{name: "not saved", ref: Ref{Kind: Saved}, key: "bob@example.org", says: "holds none for bob"},
		{name: "nothing", says: "no password is known"},
	}
	if runtime.GOOS != "windows" {
		tests = append(tests, []struct {
			name string
			ref  Ref
			key  string
			want string
			says string
		}{
			{name: "command", ref: Ref{Command, "printf '" + canary + "\\nmore\\n'"}, want: canary},
			{name: "command with a byte order mark", ref: Ref{Command, `printf '\357\273\277` + canary + "\\n'"},
				want: canary},
			{name: "command that prints UTF-16", ref: Ref{Command, `printf '\377\376c\0'`}, says: "as UTF-8"},
			{name: "command that fails", ref: Ref{Command, "echo " + canary + "; echo " + canary + " >&2; exit 3"},
				says: "exit status 3"},
			{name: "command that says nothing", ref: Ref{Command, "true"}, says: "first line is empty"},
			{name: "command that says too much", ref: Ref{Command, "echo " + canary + "; head -c 10000000 /dev/zero"},
				want: canary},
			{name: "no such command", ref: Ref{Command, "no-such-command-at-all"}, says: "exit status 127"},
		}...)
	}
	for _, test := range tests {
		got, err := test.ref.Resolve(t.Context(), box, test.key)
		switch {
		case test.says == "" && (err != nil || got.Reveal() != test.want):
			t.Errorf("%s: %d octets, %v", test.name, len(got.Reveal()), err)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says) ||
			strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: %v", test.name, err)
		case test.ref.Kind != Command && err != nil && leaks(err.Error()):
			t.Errorf("%s: the error leaks: %v", test.name, err)
		}
	}
}

// TestCommandHangs: a command that never ends is ended, also when a child of it
// holds its output.
func TestCommandHangs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	for _, line := range []string{"sleep 60", "sleep 3 & sleep 60"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		_, err := Ref{Command, line}.Resolve(ctx, Box{}, "")
		cancel()
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
			t.Errorf("%q: %v after %v", line, err, time.Since(start))
		}
	}
}

func TestBox(t *testing.T) {
	dir := t.TempDir()
	box := BoxOf(filepath.Join(dir, "mail.db"))
	if _, err := box.Get("a"); !errors.Is(err, ErrNoPassword) {
		t.Fatalf("no file: %v", err)
	}
	if err := box.Drop("a"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b", "a"} {
		if err := box.Put(key, New(canary+key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := box.Drop("b"); err != nil {
		t.Fatal(err)
	}
	if got, err := box.Get("a"); err != nil || got.Reveal() != canary+"a" {
		t.Errorf("%v", err)
	}
	if _, err := box.Get("b"); !errors.Is(err, ErrNoPassword) {
		t.Errorf("dropped: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if info, err := os.Stat(box.Path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	refused := func(what, says string) {
		t.Helper()
		if _, err := box.Get("a"); err == nil || !strings.Contains(err.Error(), says) || leaks(err.Error()) {
			t.Errorf("%s: %v", what, err)
		}
		if err := box.Put("c", New("x")); err == nil {
			t.Errorf("%s: written", what)
		}
	}
	if err := os.Chmod(box.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	refused("readable by the group", "chmod 600")
	if err := os.WriteFile(box.Path, []byte(`{"a": "`+canary), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(box.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("damaged", "is damaged")
	if err := os.Rename(box.Path, box.Path+".other"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(box.Path+".other", box.Path); err != nil {
		t.Fatal(err)
	}
	refused("a link", "not a regular file")
}
