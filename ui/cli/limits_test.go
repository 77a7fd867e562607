package cli_test

import (
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"mailcote/testkit/script"
)

// TestResumes: a sync that meets the provider's limit ends 75 and says when it goes on; so does the next one,
// without knocking, and status.
func TestResumes(t *testing.T) {
	s := script.Start(t, script.Options{Capabilities: script.Capabilities + " X-GM-EXT-1"})
	s.Change(func(m *script.Model) { m.Box("INBOX").Add([]byte("Subject: x\r\n\r\nhello")) })
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "UID FETCH" {
			return "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"
		}
		return script.Answer
	}})
	r := &rig{t: t, addr: net.JoinHostPort(s.Host(), strconv.Itoa(s.Port()))}
	r.fresh()
	resumes := regexp.MustCompile(`resumes (\d\d:\d\d)`)
	first := r.exits(75, "sync", r.url(), "--once")
	at := resumes.FindString(first.errs)
	if at == "" || !strings.Contains(first.errs, "daily limit") {
		t.Fatalf("stderr: %s", first.errs)
	}
	knocks := s.Connections()
	if again := r.exits(75, "sync", r.url(), "--once"); resumes.FindString(again.errs) != at ||
		s.Connections() != knocks {
		t.Errorf("want %s, stderr: %s; %d connections more", at, again.errs, s.Connections()-knocks)
	}
	if o := r.exits(0, "status"); !strings.Contains(o.out, r.name()+"  waiting") ||
		!strings.Contains(o.out, "gmail: ") ||
		!strings.Contains(o.out, " of 2.50 GB in 24 hours, slowed down to 50 %, "+at) {
		t.Errorf("status: %s", o.out)
	}
	limits := regexp.MustCompile(`"provider":"gmail","limits":\[\{"type":"limit","kind":"bytes","used":\d+,` +
		`"allowed":2500000000,"window_seconds":86400,"pace":0.5,"learned":null,.*"resumes_at":"`)
	if o := r.exits(0, "status", "--json"); !limits.MatchString(o.out) {
		t.Errorf("status --json: %s", o.out)
	}
}
