package health

import (
	"strconv"
	"strings"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/limit"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/disk"
)

// AccountScope names an account's breakers.
func AccountScope(id storage.AccountID) string { return "account:" + strconv.FormatInt(int64(id), 10) }

// HostScope names the breakers of a host, given as host:port. Each port is a
// service of its own.
func HostScope(addr string) string { return "host:" + strings.ToLower(addr) }

// OfPause is the hold of a paused account.
func OfPause(a storage.Account) Hold {
	if !a.Paused {
		return Hold{}
	}
	return Hold{What: TheAccount, Cause: Paused, Class: a.PauseClass, Detail: a.PauseReason}
}

// OfStore is the hold of a store that pauses bulk writes.
func OfStore(p disk.Pause) Hold {
	return Hold{What: TheStore, Cause: NoRoom, Class: class.Storage, Detail: p.String() + "; resumes by itself",
		Since: p.Since}
}

// OfMemory is the hold of a closed memory gate.
func OfMemory() Hold {
	return Hold{What: TheStore, Cause: NoMemory, Detail: "memory is short: it goes on when there is room"}
}

// OfLimit is the hold of an account whose provider's limit is used up until
// resumes. The zero time means that it is not.
func OfLimit(now, resumes time.Time) Hold {
	// the clock was wrong when it was written
	if resumes.IsZero() || resumes.Sub(now.Round(0)) > limit.Longest {
		return Hold{}
	}
	return Hold{What: TheAccount, Cause: Limited, Class: class.Quota, Detail: "the provider's limit is used up",
		Since: now, Until: resumes}
}

// OfSignIn is the hold after an unanswered sign-in.
func OfSignIn(now time.Time, u connpool.Unanswered) Hold {
	wait := u.Wait(now, connpool.Resend, false)
	if wait <= 0 {
		return Hold{}
	}
	return Hold{What: TheAccount, Cause: Unanswered, Class: class.Timeout,
		Detail: "the server did not answer the sign-in",
		Since:  u.At, Until: now.Add(wait)}
}

// OfTasks is the hold until the first of an account's tasks is due. The fault
// of its last attempt has a Hold of its own.
func OfTasks(due time.Time) Hold {
	return Hold{What: TheAccount, Cause: Retrying, Detail: "a task is tried again then", Until: due}
}

// MostTries is the number of tries from which on the wait for a quarantined
// message stays the same.
const MostTries = 12

// OfMessage is the hold of a quarantined message. A message that was asked for
// by hand is due at once. A sync by hand waits for no message.
func OfMessage(q storage.Quarantined) Hold {
	h := Hold{What: AMessage, Name: q.Path + ", UID " + strconv.FormatUint(uint64(q.UID), 10), Cause: Withheld,
		Detail: q.Reason,
		Since:  q.LastAt, Until: q.LastAt}
	if !q.Asked {
		h.Until = q.LastAt.Add(min(time.Minute<<(min(q.Attempts, MostTries)-1), 24*time.Hour))
	}
	return h
}

// OfRetry is the hold between two retries by hand. row is the last one.
func OfRetry(row Row) Hold {
	return Hold{What: ARetry, Cause: Retried, Since: row.FailedAt, Until: row.Until}
}

// Stored returns what an account waits for according to the store. It answers
// in every process but the working one. Cooldowns, the pace of connections and
// memory are known only there and are missing here. The caller adds the store's
// own pause (OfStore). Quarantined messages hold no account and may be many, so
// they are not listed.
func Stored(r *storage.Reader, a storage.Account, addr string, now time.Time) (all Holds, err error) {
	all = append(all, OfPause(a))
	rows, err := r.Breakers()
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
	used, err := r.Rates(a.ID)
	if err != nil {
		return nil, err
	}
	for _, row := range used {
		all = append(all, OfLimit(now, row.Resumes))
	}
	s, err := r.SignInOf(a.ID)
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
	return all, nil
}
