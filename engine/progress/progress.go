// Package progress keeps where each account stands. Workers write it, doors
// read it.
package progress

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"mailcote/engine/connpool"
)

// Account is where one account stands.
type Account struct {
	Account   string    `json:"account"`
	State     State     `json:"state"`
	Note      string    `json:"note,omitempty"`
	Until     time.Time `json:"until,omitzero"` // Waiting and Offline: the next attempt
	Mailboxes []Mailbox `json:"mailboxes"`
	Fetched   int64     `json:"fetched"` // messages stored in this pass
	Bytes     int64     `json:"bytes"`   // their raw bytes
	Gone      int64     `json:"gone"`    // messages that the server no longer has, in this pass
	Flags     int64     `json:"flags"`   // messages whose flags changed there, in this pass
	Unindexed int64     `json:"unindexed"`
	Outdated  int64     `json:"outdated_views"` // messages that an older version has read

	Interval    time.Duration    `json:"interval,omitzero"` // between two passes; 0: they are not repeated
	Connections connpool.Figures `json:"connections"`

	at map[string]int // index of a path in Mailboxes
}

// Mailbox is where one mailbox stands. Done of Total messages are in the store.
type Mailbox struct {
	Path  string `json:"path"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// Progress keeps where all accounts stand. Its methods may be called from any
// goroutine.
type Progress struct {
	mu        sync.Mutex
	accounts  map[string]*Account
	unindexed int64
	outdated  int64
	changed   chan struct{} // nil: nobody waits
}

// New makes an empty Progress.
func New() *Progress { return &Progress{accounts: map[string]*Account{}} }

// Update changes an account's progress under the lock.
func (p *Progress) Update(account string, change func(*Account)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[account]
	if a == nil {
		a = &Account{Account: account, State: Idle}
		p.accounts[account] = a
	}
	change(a)
	p.signal()
}

// Changed returns a channel that is closed at the next change. Ask for it
// before reading: then no change is missed. One signal may stand for many
// changes.
func (p *Progress) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// Touch signals a change of something that readers of a snapshot read
// elsewhere.
func (p *Progress) Touch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal()
}

// signal wakes those who wait for a change. The caller has the lock.
func (p *Progress) signal() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// State sets what an account does now.
func (p *Progress) State(account string, state State, note string) {
	p.Update(account, func(a *Account) { a.State, a.Note, a.Until = state, note, time.Time{} })
}

// Mailbox sets where a mailbox stands.
func (p *Progress) Mailbox(account, path string, done, total int64) {
	p.Update(account, func(a *Account) {
		i, found := a.at[path]
		if !found {
			if a.at == nil {
				a.at = map[string]int{}
			}
			i = len(a.Mailboxes)
			a.at[path], a.Mailboxes = i, append(a.Mailboxes, Mailbox{Path: path})
		}
		a.Mailboxes[i].Done, a.Mailboxes[i].Total = done, total
	})
}

// Retain drops the mailboxes that listed lacks.
func (p *Progress) Retain(account string, listed map[string]bool) {
	p.Update(account, func(a *Account) {
		a.Mailboxes = slices.DeleteFunc(a.Mailboxes, func(m Mailbox) bool { return !listed[m.Path] })
		clear(a.at)
		for i, m := range a.Mailboxes {
			a.at[m.Path] = i
		}
	})
}

// Fetched adds what a batch brought.
func (p *Progress) Fetched(account, path string, messages int, bytes int64) {
	p.Update(account, func(a *Account) {
		a.Fetched += int64(messages)
		a.Bytes += bytes
		if i, found := a.at[path]; found {
			a.Mailboxes[i].Done += int64(messages)
		}
	})
}

// Count adds what changed of messages that were stored before.
func (p *Progress) Count(account string, gone, flags int) {
	if gone == 0 && flags == 0 {
		return
	}
	p.Update(account, func(a *Account) { a.Gone, a.Flags = a.Gone+int64(gone), a.Flags+int64(flags) })
}

func (p *Progress) SetUnindexed(n int64) { p.set(&p.unindexed, n) }

func (p *Progress) SetOutdated(n int64) { p.set(&p.outdated, n) }

func (p *Progress) set(figure *int64, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *figure != n {
		*figure = n
		p.signal()
	}
}

func (p *Progress) Snapshot() []Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Account, 0, len(p.accounts))
	for _, a := range p.accounts {
		one := *a
		one.Mailboxes, one.at = slices.Clone(a.Mailboxes), nil
		one.Unindexed, one.Outdated = p.unindexed, p.outdated
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Account) int { return cmp.Compare(a.Account, b.Account) })
	return all
}
