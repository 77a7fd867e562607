package owner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailcote/testkit/child"
)

func newStore(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mail.db")
	if _, err := Prepare(path, false); err != nil {
		t.Fatal(err)
	}
	return path
}

func acquire(t *testing.T, path string) *Lock {
	t.Helper()
	lock, err := Acquire(path, "mailcote test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Release() })
	return lock
}

func process(t *testing.T, path, what string) *child.Proc {
	t.Helper()
	return child.Start(t, []string{os.Args[0]}, []string{"MAILCOTE_OWNER=" + what, "MAILCOTE_OWNER_STORE=" + path})
}

// wantHeld checks a refusal: within a second, naming pid.
func wantHeld(t *testing.T, err error, took time.Duration, pid int) {
	t.Helper()
	var held *HeldError
	if !errors.As(err, &held) {
		t.Fatalf("second owner got %v, want a HeldError", err)
	}
	if held.Holder.PID != pid {
		t.Fatalf("refusal names %d, want %d", held.Holder.PID, pid)
	}
	if took > time.Second {
		t.Fatalf("refused after %v", took)
	}
}

func TestAcquireRelease(t *testing.T) {
	path := newStore(t)
	if _, held := Holder(path); held {
		t.Fatal("a store nobody opened has a holder")
	}
	lock := acquire(t, path)
	began := time.Now()
	_, err := Acquire(path, "second")
	wantHeld(t, err, time.Since(began), os.Getpid())
	for _, want := range []string{path, fmt.Sprint(os.Getpid()), "mailcote test", "wait"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	info, held := Holder(path)
	if !held || info.PID != os.Getpid() || info.Command != "mailcote test" || time.Since(info.Started) > time.Minute {
		t.Fatalf("Holder = %+v, %v", info, held)
	}
	for _, suffix := range []string{lockSuffix, ownerSuffix} {
		if st, err := os.Lstat(path + suffix); err != nil || st.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, st, err)
		}
	}
	if _, err := Prepare(path, false); err != nil {
		t.Errorf("Prepare beside an owner: %v", err)
	}
	if err := lock.SameFile(); err != nil {
		t.Error(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Fatalf("second Release: %v", err)
	}
	if _, err := os.Lstat(path + ownerSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("owner file after Release: %v", err)
	}
	if _, held := Holder(path); held {
		t.Error("held after Release")
	}
	acquire(t, path)
}

// FAULTS C23: 100 of 100 second owners are refused within a second with the holder's name; SIGKILL frees the lock.
func TestSecondOwner(t *testing.T) {
	path := newStore(t)
	first := process(t, path, "hold")
	if _, err := first.WaitLine(t.Context(), func(s string) bool { return s == "ready" }); err != nil {
		t.Fatal(err)
	}
	var slowest time.Duration
	for range 100 {
		second := process(t, path, "once")
		if code := second.ExitCode(); code != 75 {
			t.Fatalf("second owner ended with %d: %s%s", code, second.Stdout(), second.Stderr())
		}
		var ms int
		if _, err := fmt.Sscan(second.Stdout(), &ms); err != nil {
			t.Fatal(err)
		}
		if name := fmt.Sprintf("process %d (mailcote run)", first.Pid()); ms > 1000 ||
			!strings.Contains(second.Stdout(), name) {
			t.Fatalf("want %q within a second, got %q", name, second.Stdout())
		}
		slowest = max(slowest, time.Duration(ms)*time.Millisecond)
	}
	t.Logf("100 of 100 refused, slowest after %v", slowest)
	first.Kill()
	began := time.Now()
	if _, held := Holder(path); held {
		t.Error("held by a killed process")
	}
	lock := acquire(t, path)
	t.Logf("acquired %v after the SIGKILL", time.Since(began))
	if info, held := Holder(path); !held || info.PID != os.Getpid() {
		t.Errorf("Holder = %+v, %v", info, held)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

// The owner file decides nothing.
func TestOwnerFileUseless(t *testing.T) {
	mine := Info{PID: os.Getpid(), Command: "x", BootID: "another boot"}
	otherBoot, err := json.Marshal(mine)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"missing":      "",
		"garbage":      "{",
		"empty object": "{}",
		"dead process": `{"pid":2147483646,"command":"mailcote run","started":"2026-01-02T03:04:05Z"}`,
		"huge":         `{"pid":1,"command":"` + strings.Repeat("x", 1<<20) + `"}`,
	}
	if bootID() != "" {
		tests["another boot"] = string(otherBoot)
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			path := newStore(t)
			lock := acquire(t, path)
			if err := os.Remove(path + ownerSuffix); err != nil {
				t.Fatal(err)
			}
			if text != "" {
				if err := os.WriteFile(path+ownerSuffix, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			_, err := Acquire(path, "second")
			wantHeld(t, err, time.Since(began), 0)
			if !strings.Contains(err.Error(), "left no name") {
				t.Errorf("%q", err)
			}
			if info, held := Holder(path); !held || info != (Info{}) {
				t.Errorf("Holder = %+v, %v", info, held)
			}
			if err := lock.Release(); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("left by a dead owner", func(t *testing.T) {
		path := newStore(t)
		for _, suffix := range []string{ownerSuffix, ownerSuffix + ".new"} {
			if err := os.WriteFile(path+suffix, []byte(tests["dead process"]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		acquire(t, path)
		if info, held := Holder(path); !held || info.PID != os.Getpid() {
			t.Errorf("Holder = %+v, %v", info, held)
		}
	})
}

// Asking for the holder must never make a new owner fail.
func TestHolderDisturbsNobody(t *testing.T) {
	path := newStore(t)
	acquireOnce := func() {
		lock, err := Acquire(path, "mailcote test")
		if err != nil {
			t.Error(err)
			return
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	}
	acquireOnce() // now there is a lock file to ask about
	stop := make(chan struct{})
	var asker sync.WaitGroup
	asker.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				isHeld(path)
			}
		}
	})
	for range 300 {
		acquireOnce()
	}
	close(stop)
	asker.Wait()
}

func TestHostileCommand(t *testing.T) {
	path := newStore(t)
	lock, err := Acquire(path, "run\n\x1b[31m\xff"+strings.Repeat("é", 500))
	if err != nil {
		t.Fatal(err)
	}
	info, _ := Holder(path)
	if strings.ContainsAny(info.Command, "\n\x1b") || len([]rune(info.Command)) > 200 ||
		!strings.HasPrefix(info.Command, "run  [31m?é") {
		t.Errorf("command shown as %q", info.Command)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestAcquireNeedsStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.db")
	if _, err := Acquire(path, "test"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Acquire without a store: %v", err)
	}
	if _, err := os.Lstat(path + lockSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left a lock file: %v", err)
	}
}
