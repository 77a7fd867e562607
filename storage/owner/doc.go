// Package owner guards the files of one store: what they may look like before
// SQLite opens them, and which process owns them.
//
// Invariants:
//   - A store that Prepare accepts is a regular file of this user, mode 0600,
//     one link, on a local file system, in a directory where SQLite can put its
//     -wal and -shm. Files are created with their mode (O_CREATE|O_EXCL) and
//     never chmodded afterwards. Nothing is repaired: what is wrong is refused
//     in one line that says what to do.
//   - One process owns a store (DESIGN §2.5). Ownership is an exclusive flock
//     on <store>.lock, held for life, so the kernel gives it back when the
//     owner dies, however it dies. The lock file is never removed: removing it
//     would let two processes lock two inodes.
//   - <store>.owner names the holder for people. It decides nothing: it may be
//     missing, stale or garbage.
//   - An existing store is never opened here, only Lstat'ed: closing any
//     descriptor of it would drop SQLite's POSIX locks (FAULTS L7). Once
//     Prepare has returned nobody else in the process may os.Open it either.
//
// Order of use: Prepare, Acquire, open SQLite, then Lock.SameFile (once after
// opening and now and then), Lock.Release after SQLite was closed. Faults
// served: FAULTS L5, L7, L12, X8.
package owner
