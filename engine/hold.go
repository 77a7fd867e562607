package engine

import (
	"slices"
	"time"

	"mailcote/engine/health"
	"mailcote/storage"
	"mailcote/storage/attempt"
	"mailcote/storage/class"
)

// Holds gives what an account's next attempt has to wait for, its own trouble and its host's, whether the time is
// over or not.
func Holds(r *storage.Reader, a storage.Account) ([]health.Row, error) {
	all, err := attempt.Breakers(r)
	return slices.DeleteFunc(all, func(b health.Row) bool {
		return b.Class == class.Manual || b.Scope != health.AccountScope(a.ID) &&
			b.Scope != health.HostScope(loginOf(a).Endpoint().Addr())
	}), err
}

// Waits gives all that an account waits for, as the store says. A process that owns the store adds what it alone knows.
func Waits(r *storage.Reader, a storage.Account, now time.Time) (health.Holds, error) {
	return health.Stored(r, a, loginOf(a).Endpoint().Addr(), now)
}
