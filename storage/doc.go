// Package storage is one SQLite file with everything of one person: accounts,
// tasks, coverage, mail and history.
//
// What always holds:
//
//   - Coverage moves in the transaction of the rows it vouches for. A COMMIT
//     that was reported is on disk (WAL, synchronous=FULL).
//   - (mailbox, UIDVALIDITY, UID) is one entry. The same bytes are one blob.
//     Every verb may be replayed.
//   - A live entry is never deleted, only expunged. Rows and blobs go after
//     their retention (Store.Sweep).
//   - One process writes: it holds the lock of package storage/owner. Others
//     open the store read-only alongside it.
//   - All writes go through one writer. Closures given to Store.Write may run
//     more than once, so they have no side effects.
//   - Whoever inserts an entry counts it (StoreBatch). In every other case
//     triggers keep the counters.
//   - Every Message-ID that an email names leads to its thread. Threads join,
//     they never part. What lasts names emails by row key, not by JMAP id.
//   - An email's digest always names a blob. A blob goes when no email and no
//     entry names it.
//   - No *sql.DB leaves this package. Only package queue runs statements of its
//     own (package storage/tables).
//
// Below it are internal/file (the machine: lanes, groups, commits, the log,
// reopening) and internal/schema (the file's shape). Alongside are owner (whose
// it is), query (the search language) and check (what cannot be in a sound
// store).
//
// Read closures see one snapshot and are short: a reader that stays holds back
// the WAL. Times are Unix milliseconds UTC in the tables, time.Time here. Sizes
// are bytes.
package storage
