package web

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// listener is a program that hears a stream.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
}

func listenTo(t *testing.T, s *Server) *listener {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+EventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+testToken)
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	return &listener{t, bufio.NewScanner(answer.Body)}
}

// hears reads one event; ok is false at the stream's end.
func (l *listener) hears() (name string, p Progress, ok bool) {
	l.t.Helper()
	for l.lines.Scan() {
		line := l.lines.Text()
		if data, is := strings.CutPrefix(line, "data: "); is && name == "" {
			if err := json.Unmarshal([]byte(data), &p); err != nil {
				l.t.Errorf("%s: %v", line, err)
			}
		}
		if line == "" {
			return name, p, true
		}
		if event, is := strings.CutPrefix(line, "event: "); is {
			name = event
		}
	}
	return "", p, false
}

// event reads up to the next event that has figures.
func (l *listener) event() Progress {
	l.t.Helper()
	for {
		name, p, ok := l.hears()
		if !ok {
			l.t.Fatal("the stream ended")
		}
		if name == "" {
			return p
		}
	}
}

// brisk limits make time pass quickly for a stream.
func brisk() limits {
	l := standardLimits()
	l.gap, l.beat, l.write, l.readHeader = time.Millisecond, 10*time.Millisecond, 500*time.Millisecond,
		250*time.Millisecond
	return l
}

// change changes the number of messages and gives the news of it.
func (f *fake) change(messages int64, mail bool) {
	f.mu.Lock()
	f.overview.Messages = messages
	f.mu.Unlock()
	f.news <- mail
}

func newsworthy() *fake {
	f := sample()
	f.news = make(chan bool)
	return f
}

// The first event has everything. Another comes when something changed, and says whether that was mail.
func TestEventsFollowChanges(t *testing.T) {
	f := newsworthy()
	l := listenTo(t, open(t, Config{Source: f}, brisk()))
	if p := l.event(); p.Messages != 12841 || len(p.Accounts) != 3 || !p.Mail {
		t.Errorf("first: %+v", p)
	}
	f.change(12842, false)
	if p := l.event(); p.Messages != 12842 || p.Mail {
		t.Errorf("figures: %+v", p)
	}
	f.news <- false // nothing changed: nothing is said
	f.change(12842, true)
	if p := l.event(); p.Messages != 12842 || !p.Mail {
		t.Errorf("mail: %+v", p)
	}
}

// A stream lasts longer than the server lets an answer or a request take, and shows signs of life.
func TestEventsOutlastTimeLimits(t *testing.T) {
	f, limits := newsworthy(), brisk()
	l := listenTo(t, open(t, Config{Source: f}, limits))
	l.event()
	began := time.Now()
	for time.Since(began) < 3*max(limits.write, 2*limits.readHeader) {
		if name, _, ok := l.hears(); !ok || name != "beat" {
			t.Fatalf("%q, %v after %v", name, ok, time.Since(began))
		}
	}
	f.change(7, true)
	if p := l.event(); p.Messages != 7 {
		t.Errorf("%+v", p)
	}
}

// Close does not wait for streams.
func TestCloseEndsStreams(t *testing.T) {
	limits := standardLimits()
	limits.stop = 20 * time.Second
	s := open(t, Config{Source: newsworthy()}, limits)
	l := listenTo(t, s)
	l.event()
	began := time.Now()
	if err := s.Close(); err != nil || time.Since(began) > limits.stop/2 {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	if _, _, ok := l.hears(); ok {
		t.Error("the stream goes on")
	}
}

// Streams are bounded, and leave connections to those who read.
func TestStreamsAreBounded(t *testing.T) {
	s := open(t, Config{Source: newsworthy()}, standardLimits())
	for range maxStreams {
		listenTo(t, s).event()
	}
	if got := s.visit(t).ask(EventsPath, bearer); got != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", got)
	}
	if got := s.visit(t).ask("/", bearer); got != http.StatusOK {
		t.Errorf("a page beside them: %d", got)
	}
	if maxStreams > maxConns/2 {
		t.Errorf("%d of %d connections may be streams", maxStreams, maxConns)
	}
}

// A stream whose reader left gives its place back.
func TestStreamsGiveTheirPlaceBack(t *testing.T) {
	streams := newStreams(t.Context(), brisk())
	p, err := newPages(Config{Source: newsworthy(), Log: discard(), Now: time.Now}, "", streams)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(p.routes())
	answer, err := http.Get(s.URL + EventsPath)
	if err != nil {
		t.Fatal(err)
	}
	open := func() int {
		streams.mu.Lock()
		defer streams.mu.Unlock()
		return streams.open
	}
	if _, err := answer.Body.Read(make([]byte, 10)); err != nil || open() != 1 {
		t.Errorf("%d open: %v", open(), err)
	}
	answer.Body.Close()
	s.Close() // it waits for the handler
	if open() != 0 {
		t.Errorf("%d are left", open())
	}
}

// A stream needs a secret, and HEAD does not open one.
func TestEventsAreGuarded(t *testing.T) {
	s := open(t, Config{Source: newsworthy()}, brisk())
	if got := s.visit(t).ask(EventsPath, ""); got != http.StatusUnauthorized {
		t.Errorf("without a secret: %d", got)
	}
	status, _ := surf(t, http.DefaultClient, http.MethodHead, s.URL()+EventsPath, "Authorization", "Bearer "+testToken)
	if status != http.StatusOK {
		t.Errorf("HEAD: %d", status)
	}
}
