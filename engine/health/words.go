package health

import (
	"maps"
	"sync"
	"time"

	"mailcote/storage"
)

// wordsAge is how long a mailbox's words count when another mailbox says the
// same.
const wordsAge = 15 * time.Minute

// Words remembers answers that may be about a mailbox or about its account. Its
// methods may be called from any goroutine. The zero value is ready.
type Words struct {
	mu sync.Mutex
	by map[string]map[storage.MailboxID]saying // by account scope
}

// saying is the last answer of a mailbox.
type saying struct {
	words string
	at    time.Time
}

// Say notes a mailbox's words. It reports whether another mailbox of the
// account has said the same lately.
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
	maps.DeleteFunc(said, func(_ storage.MailboxID, s saying) bool { return now.Sub(s.at) > wordsAge })
	said[mailbox] = saying{words, now}
	for id, s := range said {
		too = too || id != mailbox && s.words == words
	}
	return too
}

// Forget drops the words of an account after useful work: that work was not
// refused.
func (w *Words) Forget(scope string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, scope)
}
