package queue

import (
	"sync"

	"mailcote/storage"
)

// bells wake those who wait for tasks, account by account. The zero bells are
// ready.
type bells struct {
	mu    sync.Mutex
	wakes map[storage.AccountID]chan struct{}
}

// Wake returns a channel that is closed at the account's next Notify. Ask for
// it before you look at the tasks: then nothing is missed. Any number of
// waiters hear the same Notify.
func (b *bells) Wake(account storage.AccountID) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wakes[account] == nil {
		if b.wakes == nil {
			b.wakes = map[storage.AccountID]chan struct{}{}
		}
		b.wakes[account] = make(chan struct{})
	}
	return b.wakes[account]
}

// Notify wakes whoever waits for the account's tasks. Call it after the
// transaction that enqueued.
func (b *bells) Notify(account storage.AccountID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notify(account)
}

// NotifyAll is Notify for every account.
func (b *bells) NotifyAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for account := range b.wakes {
		b.notify(account)
	}
}

func (b *bells) notify(account storage.AccountID) {
	if wake := b.wakes[account]; wake != nil {
		close(wake)
		delete(b.wakes, account)
	}
}
