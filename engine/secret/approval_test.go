package secret

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestApprovals: what is approved is one source for one login of one store.
func TestApprovals(t *testing.T) {
	a := Approvals{filepath.Join(t.TempDir(), "state", "approved")}
	g := Grant{"store", "ada", "mail.example.org:993", "tls", Ref{Command, "pass show mail"}}
	var unapproved *UnapprovedError
	if err := a.Check(g); !errors.As(err, &unapproved) || unapproved.Ref != g.Ref {
		t.Errorf("before: %v", err)
	}
	if err := a.Approve(g); err != nil {
		t.Fatal(err)
	}
	if err := a.Check(g); err != nil {
		t.Errorf("after: %v", err)
	}
	for what, other := range map[string]Grant{
		"another store":     {"stor", "ada", g.Addr, "tls", g.Ref},
		"another user":      {"store", "bob", g.Addr, "tls", g.Ref},
		"another host":      {"store", "ada", "mail.example.com:993", "tls", g.Ref},
		"another port":      {"store", "ada", "mail.example.org:994", "tls", g.Ref},
		"in the clear":      {"store", "ada", g.Addr, "plain", g.Ref},
		"another command":   {"store", "ada", g.Addr, "tls", Ref{Command, "pass show mail; x"}},
		"a file":            {"store", "ada", g.Addr, "tls", Ref{File, "pass show mail"}},
		"moved boundaries":  {"storea", "da", g.Addr, "tls", g.Ref},
		"moved boundaries2": {"store", "ada", "mail.example.org:993t", "ls", g.Ref},
	} {
		if err := a.Check(other); !errors.As(err, &unapproved) {
			t.Errorf("%s: %v", what, err)
		}
		if err := (Approvals{}).Check(other); !errors.As(err, &unapproved) {
			t.Errorf("%s, no directory: %v", what, err)
		}
	}
	for _, ref := range []Ref{{}, {Saved, ""}, {Saved, "ada@127.0.0.1:143"}} {
		if err := (Approvals{}).Check(Grant{Ref: ref}); err != nil {
			t.Errorf("%q needs none: %v", ref, err)
		}
	}
	files, err := os.ReadDir(a.Dir)
	if err != nil || len(files) != 1 || strings.Contains(files[0].Name(), "pass") {
		t.Errorf("%v, %v", files, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, dir := range []string{a.Dir, filepath.Dir(a.Dir)} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	if err := os.Chmod(a.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := a.Check(g); err == nil || errors.As(err, &unapproved) {
		t.Errorf("others can write there: %v", err)
	}
}

// TestApprovalFlag: what is to be typed is one word of a shell.
func TestApprovalFlag(t *testing.T) {
	for ref, want := range map[Ref]string{
		{Command, "pass show 'my mail'"}: `--password-command 'pass show '\''my mail'\'''`,
		{File, "/home/ada/pw"}:           `--password-file '/home/ada/pw'`,
	} {
		if got := (&UnapprovedError{ref}).Flag(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
