package engine

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// AccountProgress is where one account stands.
type AccountProgress struct {
	Account   string            `json:"account"`
	State     string            `json:"state"` // idle, connecting, signing in, syncing, waiting, paused, failed, done
	Note      string            `json:"note,omitempty"`
	Until     time.Time         `json:"until,omitzero"` // waiting: until then
	Mailboxes []MailboxProgress `json:"mailboxes"`
	Fetched   int64             `json:"fetched"` // messages stored in this pass
	Bytes     int64             `json:"bytes"`   // their raw bytes
	Unindexed int64             `json:"unindexed"`
}

// MailboxProgress is where one mailbox stands: Done of Total messages are in the store.
type MailboxProgress struct {
	Path  string `json:"path"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// progress is the one place workers report to and doors look at.
type progress struct {
	mu        sync.Mutex
	accounts  map[string]*AccountProgress
	unindexed int64
}

func newProgress() *progress { return &progress{accounts: map[string]*AccountProgress{}} }

// update changes an account's progress under the lock.
func (p *progress) update(account string, change func(*AccountProgress)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[account]
	if a == nil {
		a = &AccountProgress{Account: account, State: "idle"}
		p.accounts[account] = a
	}
	change(a)
}

// state says what an account does now.
func (p *progress) state(account, state, note string) {
	p.update(account, func(a *AccountProgress) { a.State, a.Note, a.Until = state, note, time.Time{} })
}

// mailbox sets where a mailbox stands.
func (p *progress) mailbox(account, path string, done, total int64) {
	p.update(account, func(a *AccountProgress) {
		for i := range a.Mailboxes {
			if a.Mailboxes[i].Path == path {
				a.Mailboxes[i].Done, a.Mailboxes[i].Total = done, total
				return
			}
		}
		a.Mailboxes = append(a.Mailboxes, MailboxProgress{Path: path, Done: done, Total: total})
	})
}

// fetched adds what a batch brought.
func (p *progress) fetched(account, path string, messages int, bytes int64) {
	p.update(account, func(a *AccountProgress) {
		a.Fetched += int64(messages)
		a.Bytes += bytes
		for i := range a.Mailboxes {
			if a.Mailboxes[i].Path == path {
				a.Mailboxes[i].Done += int64(messages)
			}
		}
	})
}

func (p *progress) setUnindexed(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unindexed = n
}

func (p *progress) snapshot() []AccountProgress {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]AccountProgress, 0, len(p.accounts))
	for _, a := range p.accounts {
		one := *a
		one.Mailboxes = slices.Clone(a.Mailboxes)
		one.Unindexed = p.unindexed
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b AccountProgress) int { return cmp.Compare(a.Account, b.Account) })
	return all
}
