package agent

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"mailcote/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestAgent believes an agent file only while its process owns the store.
func TestAgent(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	path := filepath.Join(t.TempDir(), "t.db")
	st, err := storage.Open(t.Context(), path, storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := Running(state, path); ok {
		t.Error("an agent without a file")
	}
	published, err := Publish(state, path, Agent{URL: "http://127.0.0.1:1", PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := Running(state, path); !ok || a.URL != "http://127.0.0.1:1" {
		t.Errorf("agent %+v, %v", a, ok)
	}
	if runtime.GOOS != "windows" {
		check(t, os.Chmod(agentPath(state, path), 0o602))
		if _, ok := Running(state, path); ok {
			t.Error("a file that others may have written is believed")
		}
		check(t, os.Chmod(agentPath(state, path), 0o600))
	}
	check(t, st.Close())
	if _, ok := Running(state, path); ok {
		t.Error("a stale file is believed")
	}
	check(t, published.Withdraw())
	check(t, published.Withdraw())
	if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
