package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/testkit/dovecot"
)

// rights is a file of Dovecot's global ACLs.
type rights struct {
	t    *testing.T
	path string
}

func newRights(t *testing.T) *rights {
	t.Helper()
	dir, err := os.MkdirTemp("", "acl") // t.TempDir is closed to Dovecot's user
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &rights{t, filepath.Join(dir, "rights")}
}

func (r *rights) set(lines ...string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// config makes Dovecot obey the file.
func (r *rights) config() dovecot.Config {
	return dovecot.Config{Extra: "mail_plugins = acl\nplugin {\n  acl = vfile:" + r.path + ":cache_secs=0\n}\n"}
}

// TestDovecotRights: mailboxes that Dovecot shows and does not let the account read are no fault; they come when it
// does, and what was stored stays when it no longer does.
func TestDovecotRights(t *testing.T) {
	r := newRights(t)
	all := "lrwstipekxa"
	r.set("Team owner l", "Board owner li")
	s := dovecot.Start(t, r.config())
	for _, box := range []string{"INBOX", "Archive", "Team", "Board"} {
		s.Deliver(t, dovecot.User, box, mail(box, 1), dovecot.Options{})
		s.Deliver(t, dovecot.User, box, mail(box, 2), dovecot.Options{})
	}
	var wall hands
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{wall: wall.now}).account(s.Host(), s.Port())
	again := func(result string, mailboxes ...string) {
		t.Helper()
		sum := w.engine.Sync(t.Context(), []storage.AccountID{w.id}, SyncOptions{Mailboxes: mailboxes})[0]
		if sum.Result != result || len(w.faults()) > 0 {
			t.Errorf("%+v, %+v", sum, w.faults())
		}
	}
	again(Complete)
	for _, box := range []string{"Team", "Board"} {
		if m := w.box(box); !strings.HasPrefix(m.Refused, "NO [NOPERM]") || m.Total != 0 {
			t.Errorf("%+v", m)
		}
	}
	r.set("Team owner "+all, "Board owner li")
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	again(Complete)
	if n := w.stored("Team"); n != "0" {
		t.Errorf("it was asked for within the day: %s", n)
	}
	again(Complete, "Team")
	if n := w.stored("Team"); n != "2" || w.box("Team").Refused != "" {
		t.Errorf("%s stored, %+v", n, w.box("Team"))
	}
	again(Partial, "Board")
	s.Deliver(t, dovecot.User, "Team", mail("Team", 3), dovecot.Options{}) // so that it is opened
	r.set("Team owner l", "Board owner "+all)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	wall.set(25 * time.Hour)
	again(Complete)
	if w.stored("Team") != "2" || w.stored("Board") != "2" || w.box("Team").Refused == "" {
		t.Errorf("Team %s, Board %s, %+v", w.stored("Team"), w.stored("Board"), w.box("Team"))
	}
	r.set("Team owner "+all, "Board owner "+all)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	again(Complete, "Team")
	w.agrees(s)
}
