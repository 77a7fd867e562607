package engine

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/chunk"
	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

// compares runs a comparison and gives the class of its fault; "": there was none.
func (w *world) compares() class.Class {
	w.t.Helper()
	return w.classOf(w.engine.CheckRemote(w.t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}}))
}

// besideCompares is compares beside the owner.
func (w *world) besideCompares() class.Class {
	w.t.Helper()
	s, err := storage.Open(w.t.Context(), w.store.Path(), storage.Options{ReadOnly: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // it was only read
	return w.classOf(CheckRemoteBeside(w.t.Context(), Options{Store: s},
		RemoteOptions{Accounts: []storage.Account{w.find()}}))
}

func (w *world) classOf(found []storage.Finding, err error) class.Class {
	w.t.Helper()
	if len(found) > 0 {
		w.t.Errorf("findings %+v", found)
	}
	var f fault.Fault
	if err != nil && !errors.As(err, &f) {
		w.t.Errorf("no fault: %v", err)
	}
	return f.Class
}

// TestCheckRemoteHeld: a comparison asks no server that a sync would back off
// from, and none that has refused the password.
func TestCheckRemoteHeld(t *testing.T) {
	for name, test := range map[string]struct {
		hold func(w *world) error
		want class.Class
	}{
		"nothing": {func(*world) error { return nil }, ""},
		"by hand": {func(w *world) error {
			return w.engine.PauseAccounts(w.t.Context(), []storage.AccountID{w.id}, "")
		}, ""},
		"refused": {func(w *world) error {
			return w.store.Write(w.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
				return tx.PauseAccount(w.id, "auth", "no")
			})
		}, class.Auth},
		"rest": {func(w *world) error {
			w.meter().Rest(time.Now().Add(time.Hour))
			return w.store.Write(w.t.Context(), storage.Interactive, 0, w.meter().SaveTx)
		}, class.Quota},
		"account": {func(w *world) error {
			return w.engine.health.RecordFailure(w.t.Context(), health.AccountScope(w.id),
				fault.Fault{Verdict: policy.Verdict{Class: class.Timeout}}, false)
		}, class.Timeout},
		"host": {func(w *world) error {
			return w.engine.health.RecordFailure(w.t.Context(), health.HostScope(loginOf(w.find()).Endpoint().Addr()),
				fault.Fault{Verdict: policy.Verdict{Class: class.Network}}, false)
		}, class.Network},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 20, script.Options{}, Options{backoff: hourly})
			w.complete()
			if err := test.hold(w); err != nil {
				t.Fatal(err)
			}
			before := s.Connections()
			if got := w.compares(); got != test.want || (s.Connections() > before) != (test.want == "") {
				t.Errorf("%q, want %q, %d connections", got, test.want, s.Connections()-before)
			}
			if test.want == "" { // beside an owner: ui/cli TestCheckRemote
				return
			}
			if got := w.besideCompares(); got != test.want || s.Connections() > before {
				t.Errorf("beside: %q, want %q, %d connections", got, test.want, s.Connections()-before)
			}
		})
	}
}

// TestCheckRemoteRefused: a password that is refused is sent once, and then a person has to act; words about a
// limit are heard.
func TestCheckRemoteRefused(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	w.complete()
	s.SetPassword("other")
	before := s.Count("LOGIN")
	for range 3 {
		if got := w.compares(); got != class.Auth {
			t.Errorf("%q", got)
		}
	}
	if n := s.Count("LOGIN") - before; n != 1 || w.find().PauseClass != "auth" || len(w.faults()) != 1 {
		t.Errorf("%d sign-ins, account %+v, faults %+v", n, w.find(), w.faults())
	}
	w.engine.UsePassword(w.id, secret.New("other"))
	w.complete()

	for _, command := range []string{"AUTHENTICATE", "EXAMINE", "UID FETCH"} {
		s, w := scripted(t, 20, script.Options{}, Options{})
		w.complete()
		s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
			return c.Name == command
		}, "NO [LIMIT] too much")})
		before := s.Count(command)
		for range 3 {
			if got := w.compares(); got != class.Quota {
				t.Errorf("%s: %q", command, got)
			}
			w.restart()
		}
		if rest := time.Until(w.meter().Resumes()); s.Count(command)-before != 1 || rest < 4*time.Minute {
			t.Errorf("%s: asked %d times, it rests %v", command, s.Count(command)-before, rest)
		}
	}
}

// TestCheckRemoteCounts: what a comparison downloads counts, and when the day is used up it ends.
func TestCheckRemoteCounts(t *testing.T) {
	s, w := scripted(t, 0, script.Options{Capabilities: gmailCapabilities}, Options{})
	s.Change(func(m *script.Model) {
		for n := range uint32(10) {
			m.Box("INBOX").Add(append(mail("INBOX", n+1), make([]byte, 100_000)...))
		}
	})
	w.complete()
	before := w.used()
	if got := w.compares(); got != "" || w.used()-before < 1_000_000 {
		t.Errorf("%q, %d octets counted", got, w.used()-before)
	}
	w.meter().Received(2_449_000_000)
	bodies := 0
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if strings.Contains(c.Args, "BODY") {
			bodies++
		}
		return script.Answer
	}})
	if got := w.compares(); got != class.Quota || bodies != 0 || !w.meter().Resumes().After(time.Now()) {
		t.Errorf("%q, %d FETCH, it rests until %v", got, bodies, w.meter().Resumes())
	}
	if all := w.faults(); len(all) != 1 || all[0].Class != "quota" {
		t.Errorf("faults %+v", all)
	}
}

// used is how many octets the store has counted.
func (w *world) used() (n int64) {
	w.t.Helper()
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) error {
		all, err := r.RateSlots(w.id)
		for _, one := range all {
			n += one.Bytes
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// aside is a world with a large message in quarantine, UID 2, that the server would give by now.
func aside(t *testing.T) (*script.Server, *world, storage.Quarantined) {
	t.Helper()
	s, w := scripted(t, 1, script.Options{Capabilities: gmailCapabilities}, Options{backoff: hourly})
	s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 1)[:900_000]) })
	s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
		if uid == 2 {
			return script.Nil
		}
		return script.Whole
	}})
	if sum := w.sync(); sum.Quarantined != 1 {
		t.Fatalf("%+v", sum)
	}
	s.Misbehave(script.Faults{})
	w.restart()
	var q []storage.Quarantined
	if err := w.store.Read(t.Context(), func(r *storage.Reader) (err error) {
		q, err = r.QuarantineOf(w.id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return s, w, q[0]
}

// raws downloads a message in quarantine and gives the class of what ended that.
func (w *world) raws(q storage.Quarantined) (chunk.Report, class.Class) {
	w.t.Helper()
	report, err := w.engine.Raw(w.t.Context(), q, io.Discard)
	return report, w.classOf(nil, err)
}

// TestRawCounts: what a download of one message brings counts, and it begins nothing that the day has no room for.
func TestRawCounts(t *testing.T) {
	s, w, q := aside(t)
	before := w.used()
	if report, got := w.raws(q); !report.Whole || got != "" || w.used()-before < 900_000 {
		t.Errorf("%+v, %q, %d octets counted", report, got, w.used()-before)
	}
	told := len(w.faults())
	asked := s.Count("UID FETCH")
	w.meter().Received(2_450_000_000 - int(w.used()) - 600_000) // there is room for some of it
	report, got := w.raws(q)
	if got != class.Quota || report.Got == 0 || report.Got > 600_000 || !w.meter().Resumes().After(time.Now()) {
		t.Errorf("%+v, %q, it rests until %v", report, got, w.meter().Resumes())
	}
	w.restart()
	most := s.Count("UID FETCH")
	if _, got := w.raws(q); got != class.Quota || s.Count("UID FETCH") != most || most > asked+4 {
		t.Errorf("%q, %d FETCH", got, s.Count("UID FETCH")-asked)
	}
	if all := w.faults(); len(all) != told+1 || all[0].Class != "quota" {
		t.Errorf("faults %+v", all[:len(all)-told])
	}
}

// TestRawRefused: words about a limit end a download and are heard; those about the message are its report.
func TestRawRefused(t *testing.T) {
	for name, test := range map[string]struct {
		command, body string
		answer        script.Action
		asked         int
		class         class.Class
		rows          int
	}{
		"examine":     {"EXAMINE", "", "NO [LIMIT] too much", 1, class.Quota, 1},
		"size":        {"UID FETCH", "", "NO [LIMIT] too much", 1, class.Quota, 1},
		"part":        {"UID FETCH", "BODY", "NO [LIMIT] too much", 1, class.Quota, 1},
		"unavailable": {"UID FETCH", "BODY", "NO [UNAVAILABLE] later", 1, class.Network, 1},
		"message":     {"UID FETCH", "BODY", "NO [SERVERBUG] cannot be read", 2, "", 0},
		"dropped":     {"UID FETCH", "BODY", script.Drop, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w, q := aside(t)
			told := len(w.faults())
			var count atomic.Int32
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				if c.Name != test.command || !strings.Contains(c.Args, test.body) {
					return script.Answer
				}
				count.Add(1)
				return test.answer
			}})
			report, got := w.raws(q)
			asked := int(count.Load())
			if test.asked == 0 { // each time a session ended
				test.asked, test.rows = asked, asked
			}
			if got != test.class || asked != test.asked || asked == 0 || report.Got != 0 || got == "" &&
				report.Why == nil {
				t.Errorf("%q, asked %d times, %+v", got, asked, report)
			}
			all := w.faults()
			for _, f := range all[:len(all)-told] {
				if test.class != "" && f.Class != test.class {
					t.Errorf("fault %+v", f)
				}
			}
			if len(all) != told+test.rows {
				t.Errorf("%d rows for %d", len(all)-told, test.rows)
			}
			rest := time.Until(w.meter().Resumes())
			if w.restart(); (rest > 4*time.Minute) != (test.class == class.Quota) {
				t.Errorf("it rests %v", rest)
			}
			if test.class == class.Quota {
				if _, got := w.raws(q); got != class.Quota || int(count.Load()) != asked {
					t.Errorf("%q, asked %d times", got, count.Load())
				}
			}
		})
	}
}

// hourly stands in for plan.Backoff.
func hourly(int, *rand.Rand) time.Duration { return time.Hour }
