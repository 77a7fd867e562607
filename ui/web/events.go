package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"mailcote/engine/clock"
	"mailcote/ui/view"
)

// EventsPath is where pages and programs hear of changes.
const EventsPath = "/events"

// maxStreams bounds the open streams. A browser needs one for all its tabs.
// The rest of maxConns is left to those who read.
const maxStreams = 32

// ease is how many times as long as reading the figures takes a stream rests
// after it. So a page that is open takes a quarter of one processor at most.
const ease = 3

// streams are the open streams of a server.
type streams struct {
	beat, gap, write time.Duration
	over             context.Context
	end              context.CancelFunc // ends every stream

	mu   sync.Mutex
	open int
}

func newStreams(ctx context.Context, l limits) *streams {
	s := &streams{beat: l.beat, gap: l.gap, write: l.write}
	s.over, s.end = context.WithCancel(ctx)
	return s
}

// enter reports whether there is room for one more, which leave gives back.
func (s *streams) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= maxStreams {
		return false
	}
	s.open++
	return true
}

func (s *streams) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// events streams the progress: once at the start, then whenever it changed.
// The first event counts as one with new mail: nobody knows what came before.
func (p *pages) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	if !p.streams.enter() {
		w.Header().Set("Retry-After", "10")
		refuse(w, r, http.StatusServiceUnavailable, "Too many pages are listening. Close some of them.")
		return
	}
	defer p.streams.leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.streams.over, cancel)()
	s := &stream{pages: p, out: w, control: http.NewResponseController(w), watch: p.source.Watch(), mail: true}
	defer s.watch.Close()
	if err := s.run(ctx); ctx.Err() == nil {
		p.note(r, err)
	}
}

// stream is one open stream. Its request's goroutine is the only one.
type stream struct {
	pages   *pages
	out     http.ResponseWriter
	control *http.ResponseController
	watch   view.Watch
	mail    bool   // mail changed since the last event
	last    []byte // the last event
}

// run writes events until ctx ends or the reader is gone, and says which.
func (s *stream) run(ctx context.Context) error {
	for {
		began := time.Now()
		if err := s.event(ctx); err != nil {
			return err
		}
		if err := clock.Sleep(ctx, max(s.pages.streams.gap, ease*time.Since(began))); err != nil {
			return err
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
}

// wait returns when something changed. While nothing does it writes a sign of
// life; then figures are looked at as well, because some follow the clock.
func (s *stream) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.pages.streams.beat)
	defer cancel()
	mail, err := s.watch.Wait(ctx)
	s.mail = s.mail || mail
	if errors.Is(err, context.DeadlineExceeded) {
		return s.write([]byte("event: beat\ndata: 1\n\n"))
	}
	return err
}

// event writes the figures, unless they are those of the last event.
func (s *stream) event(ctx context.Context) error {
	progress, err := s.pages.progress(ctx)
	if err != nil {
		return fmt.Errorf("read the figures: %w", err)
	}
	text, err := json.Marshal(progress)
	if err != nil || !s.mail && bytes.Equal(text, s.last) {
		return err
	}
	s.last = text
	if progress.Mail = s.mail; progress.Mail {
		if text, err = json.Marshal(progress); err != nil {
			return err
		}
	}
	s.mail = false
	return s.write([]byte("data: " + string(text) + "\n\n")) // JSON has no line breaks
}

// write gives each write its own time, so that a reader who has gone without
// a word is noticed.
func (s *stream) write(text []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.pages.streams.write)); err != nil {
		return fmt.Errorf("write to a stream: %w", err)
	}
	if _, err := s.out.Write(text); err != nil {
		return fmt.Errorf("write to a stream: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("write to a stream: %w", err)
	}
	return nil
}
