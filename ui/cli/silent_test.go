package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/testkit/script"
	"mailcote/ui/agent"
	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
	"mailcote/ui/web"
)

// TestSilentAgent: an agent hangs while the status is watched. It takes
// connections, but it answers nothing. The watch says so soon, and nothing is
// shown as current any more, not even the pass that is under way.
func TestSilentAgent(t *testing.T) {
	path, store, account := ownedStore(t)
	var hangs atomic.Bool
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hangs.Load() || r.URL.Path != web.ProgressPath {
			<-r.Context().Done()
			return
		}
		if err := json.NewEncoder(w).Encode(web.Progress{Interval: time.Minute}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(door.Close)
	published, err := agent.Publish(stateDir(path), path, agent.Agent{URL: door.URL, PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := published.Withdraw(); err != nil {
			t.Error(err)
		}
	})
	out, lines := pipe(t)
	a := &app{voice: voice.New(os.Stdin, out, out), store: path, json: true}
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- a.watchStatus(ctx, 50*time.Millisecond) }()

	if v := lines(); !v.Accounts[0].UpToDate || v.AgentError != "" {
		t.Errorf("it answers, and the status is %+v", v)
	}
	hangs.Store(true)
	v := lines()
	if one := v.Accounts[0]; string(v.AgentError) != agent.ErrSilent.Error() || one.UpToDate || one.AsOf.IsZero() {
		t.Errorf("it hangs, and the status is %+v", v)
	}
	if err := store.Write(ctx, storage.Interactive, 1, func(w *storage.Writer) error {
		_, err := w.StartRun(account)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if one := lines().Accounts[0]; one.State != view.Syncing || one.AsOf.IsZero() {
		t.Errorf("it hangs in a pass, and the account is %+v", one)
	}
	cancel()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	for command, stream := range map[string]int{"status": 1, "account list": 2, "errors": 2, "token --link": 2} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			if said := spoken(t, append(strings.Fields(command), "--store", path))[stream]; !strings.Contains(said,
				agent.ErrSilent.Error()) {
				t.Errorf("it says %q", said)
			}
		})
		t.Run(command+" --json", func(t *testing.T) {
			t.Parallel()
			said := spoken(t, append(strings.Fields(command), "--store", path, "--json"))[1]
			for line := range strings.Lines(said) {
				if _, err := NewContract().CheckLine(strings.TrimSuffix(command, " --link"), line); err != nil {
					t.Errorf("%v: %s", err, line)
				}
			}
			if said == "" && command != "errors" {
				t.Error("it prints nothing")
			}
		})
	}
}

// ownedStore makes a store with one account that is up to date, owned by this
// process until the test ends.
func ownedStore(t *testing.T) (path string, store *storage.Store, id storage.AccountID) {
	t.Helper()
	server := script.Start(t, script.Options{})
	path = filepath.Join(t.TempDir(), "t.db")
	if err := os.Mkdir(path+stateSuffix, 0o700); err != nil {
		t.Fatal(err)
	}
	closing := func(close func() error) {
		t.Cleanup(func() {
			if err := close(); err != nil {
				t.Error(err)
			}
		})
	}
	store, err := storage.Open(context.Background(), path, storage.Options{Holder: "mailcote run"})
	if err != nil {
		t.Fatal(err)
	}
	closing(store.Close)
	e, err := engine.New(context.Background(), engine.Options{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	closing(e.Close)
	login, err := engine.ParseURL("imap://" + script.User + ":" + script.Password + "@" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if id, _, err = e.AddAccount(t.Context(), engine.NewAccount{Login: login}); err != nil {
		t.Fatal(err)
	}
	if s := e.Sync(t.Context(), []storage.AccountID{id}, engine.SyncOptions{}); s[0].Result != engine.Complete {
		t.Fatalf("%+v", s[0])
	}
	return path, store, id
}

// pipe gives a file to write a status to, and what reads the next one.
func pipe(t *testing.T) (out *os.File, next func() statusView) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	lines := bufio.NewScanner(r)
	return w, func() (v statusView) {
		t.Helper()
		if err := r.SetReadDeadline(time.Now().Add(25 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() {
			t.Fatalf("no status in time: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// spoken runs a command in this process and gives what it prints: streams 1
// and 2.
func spoken(t *testing.T, args []string) (said [3]string) {
	t.Helper()
	var files [3]*os.File
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() //nolint:errcheck // it is read below
		files[i] = f
	}
	Run(t.Context(), args, files[0], files[1], files[2])
	for i, f := range files {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		said[i] = string(text)
	}
	return said
}
