// Package chromium drives a real browser in tests, over its debugging pipe.
package chromium

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	t     testing.TB
	cmd   *exec.Cmd
	to    *os.File
	mu    sync.Mutex
	last  int
	calls map[int]chan answer
	over  chan struct{} // closed when the pipe ends
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Start runs a browser until the test ends. A missing one skips the test, or
// fails it when MAILCOTE_REQUIRE_ALL=1.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip("chromium is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) }) //nolint:errcheck // its last process may still write there
	theirs, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, to: to, calls: map[int]chan answer{}, over: make(chan struct{})}
	b.cmd = exec.Command(path, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
		"--disable-quic", "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir="+profile)
	b.cmd.ExtraFiles = []*os.File{theirs, theirOut} // it reads from 3 and writes to 4
	b.cmd.WaitDelay = 5 * time.Second
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(theirs.Close(), theirOut.Close()); err != nil {
		t.Fatal(err)
	}
	go b.read(from)
	t.Cleanup(b.stop)
	return b
}

// read hands answers to those who wait for them, until the pipe ends.
func (b *Browser) read(from *os.File) {
	defer close(b.over)
	defer from.Close() //nolint:errcheck // it was only read
	in := bufio.NewReader(from)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var a answer
		if json.Unmarshal(text[:len(text)-1], &a) != nil || a.ID == 0 {
			continue // an event
		}
		b.mu.Lock()
		waiting := b.calls[a.ID]
		delete(b.calls, a.ID)
		b.mu.Unlock()
		if waiting != nil {
			waiting <- a
		}
	}
}

func (b *Browser) stop() {
	b.to.Close() //nolint:errcheck // it ends when its pipe does
	select {
	case <-b.over:
	case <-time.After(10 * time.Second):
		b.cmd.Process.Kill() //nolint:errcheck // it may have ended
		<-b.over
	}
	b.cmd.Wait() //nolint:errcheck // how it ended does not matter
}

// call sends one command and reads its answer.
func (b *Browser) call(session, method string, params, result any) error {
	waiting := make(chan answer, 1)
	b.mu.Lock()
	b.last++
	text, err := json.Marshal(map[string]any{"id": b.last, "sessionId": session, "method": method, "params": params})
	if session == "" {
		text, err = json.Marshal(map[string]any{"id": b.last, "method": method, "params": params})
	}
	if err == nil {
		b.calls[b.last] = waiting
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case a := <-waiting:
		if a.Error != nil {
			return fmt.Errorf("%s: %s", method, a.Error.Message)
		}
		return json.Unmarshal(a.Result, result)
	case <-b.over:
		return errors.New("the browser ended")
	case <-time.After(time.Minute):
		return fmt.Errorf("%s: no answer within a minute", method)
	}
}

// SaveTo makes the browser save downloads into a directory without asking.
func (b *Browser) SaveTo(dir string) {
	b.t.Helper()
	if err := b.call("", "Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": dir},
		&struct{}{}); err != nil {
		b.t.Fatal(err)
	}
}

// Tab is one page of a browser.
type Tab struct {
	b       *Browser
	session string
	target  string
}

// Open opens an address in a tab of its own.
func (b *Browser) Open(address string) *Tab {
	b.t.Helper()
	var target struct{ TargetID string }
	var session struct{ SessionID string }
	err := b.call("", "Target.createTarget", map[string]any{"url": address}, &target)
	if err == nil {
		err = b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true},
			&session)
	}
	if err != nil {
		b.t.Fatalf("open %s: %v", address, err)
	}
	return &Tab{b, session.SessionID, target.TargetID}
}

// Close closes the tab.
func (t *Tab) Close() {
	t.b.t.Helper()
	if err := t.b.call("", "Target.closeTarget", map[string]any{"targetId": t.target}, &struct{}{}); err != nil {
		t.b.t.Fatal(err)
	}
}

// Eval gives the value of an expression in the page; it waits for a promise.
func (t *Tab) Eval(expression string, value any) error {
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := t.b.call(t.session, "Runtime.evaluate",
		map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &got); err != nil {
		return err
	}
	if bad := got.ExceptionDetails; bad != nil {
		return fmt.Errorf("in the page: %s %s", bad.Text, bad.Exception.Description)
	}
	if len(got.Result.Value) == 0 {
		return nil
	}
	return json.Unmarshal(got.Result.Value, value)
}

// watcher waits in the page until a condition holds, and gives the time.
// Nothing polls: each change of the document is looked at.
const watcher = `new Promise(done => {
	const look = () => {
		let holds = false;
		try { holds = %s; } catch {}
		if (!holds) return;
		observer.disconnect();
		done(performance.timeOrigin + performance.now());
	};
	const observer = new MutationObserver(look);
	observer.observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
	look();
})`

// Expect begins to wait for a condition, an expression in the page. The result
// waits for it and gives the time since which it holds. The page must not be
// left meanwhile.
func (t *Tab) Expect(condition string) (held func() time.Time) {
	t.b.t.Helper()
	if err := t.Eval(fmt.Sprintf("void (window.expected = "+watcher+")", condition), nil); err != nil {
		t.b.t.Fatalf("expect %s: %v", condition, err)
	}
	return func() time.Time {
		t.b.t.Helper()
		var at float64
		if err := t.Eval("window.expected", &at); err != nil {
			t.fail(condition, err)
		}
		return time.UnixMicro(int64(at * 1000))
	}
}

// Wait waits until a condition holds, also over a change of the page.
func (t *Tab) Wait(condition string) {
	t.b.t.Helper()
	began := time.Now()
	for {
		err := t.Eval(fmt.Sprintf(watcher, condition), new(float64))
		if err == nil {
			return
		}
		if time.Since(began) > time.Minute {
			t.fail(condition, err)
		}
	}
}

func (t *Tab) fail(condition string, err error) {
	t.b.t.Helper()
	var page string
	_ = t.Eval("location.href + ' ' + document.documentElement.outerHTML", &page) //nolint:errcheck // it is only shown
	t.b.t.Fatalf("%s never held: %v\n%s", condition, err, page)
}
