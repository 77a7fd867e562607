package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

// passwordFile is a password file. Each write gives it another modification time.
type passwordFile struct {
	t     *testing.T
	path  string
	times int
}

func (f *passwordFile) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.touch()
}

func (f *passwordFile) touch() {
	f.t.Helper()
	f.times++
	at := time.Date(2020, 1, 1, 0, 0, f.times, 0, time.UTC)
	if err := os.Chtimes(f.path, at, at); err != nil {
		f.t.Fatal(err)
	}
}

// fromFile is a scripted server and an account whose password comes from a file.
func fromFile(t *testing.T, text string) (*script.Server, *world, *passwordFile) {
	s := script.Start(t, script.Options{Pipe: true})
	s.Change(func(m *script.Model) { m.Box("INBOX").Add([]byte("Subject: one\r\n\r\nText.\r\n")) })
	f := &passwordFile{t: t, path: filepath.Join(t.TempDir(), "pw")}
	if text != "" {
		f.write(text)
	}
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: s.Dial, backoff: quick,
		Approvals: secret.Approvals{Dir: filepath.Join(t.TempDir(), "approvals")}})
	id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Login: Login{User: script.User, Host: "127.0.0.1",
		Port: 143, Security: "plain"}, Ref: secret.Ref{Kind: secret.File, Value: f.path}})
	if err != nil {
		t.Fatal(err)
	}
	w.id = id
	return s, w, f
}

// during has the agent run while fn runs.
func (w *world) during(fn func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, time.Hour) }()
	fn()
	cancel()
	if err := <-done; err != nil {
		w.t.Error(err)
	}
}

// TestCorrectedPasswordFile: the agent notices that a password file was corrected and signs in once. A file that
// holds the refused password still is not tried, whatever was done to it.
func TestCorrectedPasswordFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, f := fromFile(t, "wrong\n")
		signIns := func(want int, paused bool, when string) {
			t.Helper()
			time.Sleep(3 * lookEvery)
			if n := s.Count("LOGIN"); n != want || w.find().Paused != paused {
				t.Errorf("%s: %d sign-ins, want %d; paused %v", when, n, want, w.find().Paused)
			}
		}
		w.during(func() {
			signIns(1, true, "refused")
			f.touch()
			signIns(1, true, "touched")
			f.write("wrong\nwith a remark\n")
			signIns(1, true, "another second line")
			f.write("wrong again\n")
			signIns(2, true, "another wrong one")
			f.write("")
			signIns(2, true, "emptied")
			f.write("\xff\xfes\x00")
			signIns(2, true, "UTF-16")
			f.write(script.Password + "\n")
			signIns(3, false, "corrected")
		})
		w.equals(s)
	})
}

// TestCorrectedWhileDown: what was refused is remembered over a restart, and so is that a file was only touched.
func TestCorrectedWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, f := fromFile(t, "wrong\n")
		w.sync()
		for range 3 {
			w.restart()
			w.during(func() { time.Sleep(3 * lookEvery) })
		}
		w.during(func() { // this process knows the password that was refused
			f.touch()
			time.Sleep(3 * lookEvery)
		})
		w.restart()
		w.during(func() { time.Sleep(3 * lookEvery) })
		if n := s.Count("LOGIN"); n != 1 {
			t.Fatalf("%d sign-ins with the same password", n)
		}
		w.restart()
		f.write(script.Password + "\n")
		w.during(func() { time.Sleep(time.Second) }) // the first pass looks already
		if n := s.Count("LOGIN"); n != 2 || w.find().Paused {
			t.Errorf("%d sign-ins, account %+v", n, w.find())
		}
		w.equals(s)
	})
}

// TestCorrectedBeforeStart: a process that never saw the refused file notices that it is another one now.
func TestCorrectedBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, f := fromFile(t, "wrong\n")
		w.sync()
		f.write(script.Password + "\n")
		w.restart()
		w.during(func() { time.Sleep(time.Second) })
		if n := s.Count("LOGIN"); n != 2 {
			t.Errorf("%d sign-ins", n)
		}
		w.equals(s)
	})
}

// TestUnapprovedFile: a file that nobody allowed on this machine is not read, however often it changes.
func TestUnapprovedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, f := fromFile(t, script.Password)
		w.engine.o.Approvals = secret.Approvals{Dir: filepath.Join(t.TempDir(), "others")}
		w.sync()
		n := len(w.faults())
		w.during(func() {
			time.Sleep(3 * lookEvery)
			f.touch()
			time.Sleep(3 * lookEvery)
		})
		if s.Connections() != 0 || len(w.faults()) != n || !w.find().Paused {
			t.Errorf("%d connections, faults %+v", s.Connections(), w.faults())
		}
	})
}

// TestPasswordFileAppears: a file that could not be read is noticed when it can.
func TestPasswordFileAppears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, f := fromFile(t, "")
		if sum := w.sync(); sum.Class != "auth" || !w.find().Paused || s.Connections() != 0 {
			t.Fatalf("%d connections, %+v", s.Connections(), sum)
		}
		w.restart()
		w.during(func() {
			time.Sleep(3 * lookEvery)
			f.write(script.Password)
			time.Sleep(3 * lookEvery)
		})
		w.equals(s)
	})
}

// TestCorrectedFileNow: a sync by hand with a corrected file need not wait for the gap between two retries.
func TestCorrectedFileNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, f := fromFile(t, "wrong\n")
		w.sync()
		w.sync()
		if sum := w.sync(); sum.Class != class.Quota || s.Count("LOGIN") != 2 {
			t.Errorf("the same password: %d sign-ins, %+v", s.Count("LOGIN"), sum)
		}
		f.write("wrong again\n")
		if sum := w.sync(); sum.Class != class.Auth || s.Count("LOGIN") != 3 {
			t.Errorf("another one: %d sign-ins, %+v", s.Count("LOGIN"), sum)
		}
		f.write(script.Password)
		w.complete()
		w.equals(s)
	})
}

// TestAnotherPassword: a password given with the account's URL ends the pause of a refused one, and no pause by hand.
func TestAnotherPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, f := fromFile(t, "wrong\n")
		w.sync()
		again := NewAccount{Login: Login{User: script.User, Host: "127.0.0.1", Port: 143, Security: "plain"}}
		add := func(n NewAccount) storage.Account {
			t.Helper()
			if _, created, err := w.engine.AddAccount(t.Context(), n); err != nil || created {
				t.Fatal(created, err)
			}
			return w.find()
		}
		if !add(again).Paused {
			t.Error("no password was given")
		}
		f.path += "2"
		f.write(script.Password + "\n")
		again.Ref = secret.Ref{Kind: secret.File, Value: f.path}
		if add(again).Paused {
			t.Error("the account is paused still")
		}
		w.during(func() { time.Sleep(time.Second) })
		if n := s.Count("LOGIN"); n != 2 {
			t.Errorf("%d sign-ins", n)
		}
		w.equals(s)
		if err := w.engine.PauseAccounts(t.Context(), []storage.AccountID{w.id}, ""); err != nil {
			t.Fatal(err)
		}
		if !add(again).Paused {
			t.Error("a pause by hand ended")
		}
	})
}
