//go:build unix

package cli_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"mailcote/testkit/child"
	"mailcote/testkit/chromium"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

// TestPageOutlivesAgent kills an agent whose page is open in a browser. The page says so and shows nothing as
// current. When the next agent is at the same address it recovers by itself, still signed in, and shows what came
// meanwhile.
func TestPageOutlivesAgent(t *testing.T) {
	t.Parallel()
	browser := chromium.Start(t)
	r := newRig(t, dovecot.Config{})
	r.fill(45, 20, 2, corpus.Options{AvgSize: 2000})
	r.exits(0, "account", "add", r.url())
	p, first := r.serves("0")
	r.awaits(20, someMail)
	tab := browser.Open(first.Link)
	tab.Wait(`document.querySelector('#headline').textContent === '20 messages'
		&& document.querySelector('.state').dataset.state === 'ok'
		&& document.readyState === 'complete'`) // without its scripts a page is told nothing
	gone := tab.Expect(`!document.querySelector('#lost').hidden
		&& document.querySelector('.state').dataset.state === 'past'
		&& !/up to date|syncing/i.test(document.body.textContent)`)
	p.Kill()
	gone()
	r.server.Deliver(t, dovecot.User, "INBOX", []byte("Subject: later\r\n\r\nhello\r\n"), dovecot.Options{})
	back := tab.Expect(`document.querySelector('#lost').hidden
		&& document.querySelector('#headline').textContent === '21 messages'
		&& document.querySelector('.state').dataset.state === 'ok'`)
	address, err := url.Parse(first.URL)
	if err != nil {
		t.Fatal(err)
	}
	p, second := r.serves(address.Port())
	if second.URL != first.URL {
		t.Fatalf("the next agent is at %s, not at %s", second.URL, first.URL)
	}
	back()
	tab.Close()
	p.Kill()
}

type ready struct{ URL, Link string }

// serves starts an agent and gives what it says when its page is served.
func (r *rig) serves(port string) (*child.Proc, ready) {
	r.t.Helper()
	p := r.start("run", "--port", port, "--json", "--quiet")
	r.ready(p)
	var said ready
	first, _, _ := strings.Cut(p.Stdout(), "\n") // events follow it
	if err := json.Unmarshal([]byte(first), &said); err != nil {
		r.t.Fatalf("%s: %v", p.Stdout(), err)
	}
	return p, said
}
