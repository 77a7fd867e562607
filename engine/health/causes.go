package health

import (
	"strconv"
	"strings"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/limit"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/attempt"
	"mailcote/storage/class"
	"mailcote/storage/disk"
	"mailcote/storage/rate"
)

// AccountScope names an account's breakers.
func AccountScope(id storage.AccountID) string { return "account:" + strconv.FormatInt(int64(id), 10) }

// HostScope names the breakers of a host, given as host:port. Each port is a service of its own.
func HostScope(addr string) string { return "host:" + strings.ToLower(addr) }

// OfPause is an account's pause.
func OfPause(a storage.Account) Hold {
	if !a.Paused {
		return Hold{}
	}
	return Hold{What: TheAccount, Cause: Paused, Class: a.PauseClass, Detail: a.PauseReason}
}

// OfStore is a pause of the store's bulk writing.
func OfStore(p disk.Pause) Hold {
	return Hold{What: TheStore, Cause: NoRoom, Class: class.Storage, Detail: p.String() + "; resumes by itself",
		Since: p.Since}
}

// OfMemory is the process's memory gate while it is closed.
func OfMemory() Hold {
	return Hold{What: TheStore, Cause: NoMemory, Detail: "memory is short: it goes on when there is room"}
}

// OfLimit is the rest of an account whose provider's limit is used up until resumes; the zero time: it is not.
func OfLimit(now, resumes time.Time) Hold {
	if resumes.IsZero() || resumes.Sub(now.Round(0)) > limit.Longest { // a clock that was wrong has made it
		return Hold{}
	}
	return Hold{What: TheAccount, Cause: Limited, Class: class.Quota, Detail: "the provider's limit is used up",
		Since: now, Until: resumes}
}

// OfSignIn is the wait after a sign-in that was not answered.
func OfSignIn(now time.Time, u connpool.Unanswered) Hold {
	wait := u.Wait(now, connpool.Resend, false)
	if wait <= 0 {
		return Hold{}
	}
	return Hold{What: TheAccount, Cause: Unanswered, Class: class.Timeout,
		Detail: "the server did not answer the sign-in",
		Since:  u.At, Until: now.Add(wait)}
}

// OfTasks is the wait until the first of an account's tasks is due. What its last attempt met is told by a Hold
// of its own.
func OfTasks(due time.Time) Hold {
	return Hold{What: TheAccount, Cause: Retrying, Detail: "a task is tried again then", Until: due}
}

// OfMessage is the wait of a quarantined message. One that a person asked for is due at once; a sync that a
// person asks for waits for none.
func OfMessage(q storage.Quarantined) Hold {
	h := Hold{What: AMessage, Name: q.Path + ", UID " + strconv.FormatUint(uint64(q.UID), 10), Cause: Withheld,
		Detail: q.Reason,
		Since:  q.LastAt, Until: q.LastAt}
	if !q.Asked {
		h.Until = q.LastAt.Add(min(time.Minute<<min(q.Attempts-1, 12), 24*time.Hour))
	}
	return h
}

// OfRetry is the least time between two retries by hand, after the one that row says.
func OfRetry(row Row) Hold {
	return Hold{What: ARetry, Cause: Retried, Since: row.FailedAt, Until: row.Until}
}

// Stored gives what an account waits for, as the store says: the answer of every process that is not the one that
// works. What only that one knows is missing: cooldowns, the pace of its connections, its memory. The store's own
// pause is for the caller to add (OfStore).
func Stored(r *storage.Reader, a storage.Account, addr string, now time.Time) (all Holds, err error) {
	all = append(all, OfPause(a))
	rows, err := attempt.Breakers(r)
	if err != nil {
		return nil, err
	}
	set := New(now, rows)
	for _, scope := range []string{AccountScope(a.ID), HostScope(addr)} {
		if h, held := set.Held(now, scope); held {
			all = append(all, h)
		}
	}
	for _, row := range rows {
		if row.Class == class.Manual && row.Scope == AccountScope(a.ID) {
			all = append(all, OfRetry(row))
		}
	}
	used, err := rate.Rows(r, a.ID)
	if err != nil {
		return nil, err
	}
	for _, row := range used {
		all = append(all, OfLimit(now, row.Resumes))
	}
	s, err := attempt.SignInOf(r, a.ID)
	if err != nil {
		return nil, err
	}
	all = append(all, OfSignIn(now, connpool.Unanswered{At: s.SentAt, Silent: s.Silent, Dropped: s.Dropped}))
	due, any, err := queue.Due(r, a.ID)
	if err != nil {
		return nil, err
	}
	if any {
		all = append(all, OfTasks(due))
	}
	held, err := r.QuarantineOf(a.ID)
	for _, q := range held {
		all = append(all, OfMessage(q))
	}
	return all, err
}
