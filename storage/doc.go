// Package storage is the one SQLite file of one person: accounts, tasks, coverage, mail and history.
//
// What always holds:
//
//   - Coverage moves in the transaction of the rows it vouches for; a COMMIT that was reported is on disk (WAL,
//     synchronous=FULL).
//   - (mailbox, UIDVALIDITY, UID) is one entry; the same bytes are one blob. Every verb may be replayed.
//   - A live entry is never deleted, only expunged; rows and blobs go after their retention (Store.Sweep).
//   - One process writes: it holds the lock of package storage/owner. Others open read-only beside it.
//   - All writes go through one writer. Closures given to Store.Write may run more than once, so they have no
//     side effects.
//   - Whoever inserts an entry counts it (StoreBatch); triggers keep the counters in every other case.
//   - An email's digest always names a blob; a blob goes when no email and no entry names it.
//   - No *sql.DB leaves this package, and nobody but package queue runs statements of its own (package storage/tables).
//
// Below it: internal/file (the machine: lanes, groups, commits, the log, reopening), internal/schema (the file's
// shape). Alongside: owner (whose it is), query (the search language), check (what cannot be in a sound store).
//
// Read closures see one snapshot and are short: a reader that stays holds back the WAL. Times are Unix
// milliseconds UTC in the tables, time.Time here; sizes are bytes.
package storage
