package health

import (
	"maps"
	"sync"
	"time"

	"mailcote/storage"
)

// lately is how long words of a mailbox count when another one says them.
const lately = 15 * time.Minute

// Words remembers what mailboxes answered that may be about them or about their account. Its methods may be
// called from any goroutine. The zero value is ready.
type Words struct {
	mu sync.Mutex
	by map[string]map[storage.MailboxID]saying // by the account's scope
}

// saying is what a mailbox answered last.
type saying struct {
	words string
	at    time.Time
}

// Say notes words of a mailbox, and reports whether another one of the account has said them lately.
func (w *Words) Say(now time.Time, scope string, mailbox storage.MailboxID, words string) (too bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]map[storage.MailboxID]saying{}
	}
	if w.by[scope] == nil {
		w.by[scope] = map[storage.MailboxID]saying{}
	}
	said := w.by[scope]
	maps.DeleteFunc(said, func(_ storage.MailboxID, s saying) bool { return now.Sub(s.at) > lately })
	said[mailbox] = saying{words, now}
	for id, s := range said {
		too = too || id != mailbox && s.words == words
	}
	return too
}

// Forget is called after useful work in an account: who did it was not refused.
func (w *Words) Forget(scope string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, scope)
}
