// Package file is the machine under the store: one SQLite file that one process
// writes and any number read. It knows no mail.
//
// What always holds:
//
//   - All writes go through one goroutine, the writer. Interactive closures go
//     before bulk ones. Those that wait are committed as a group, each but the
//     first in a savepoint; an answer comes after the COMMIT.
//   - A closure may run more than once. Its own failure undoes only itself.
//   - After a COMMIT whose outcome is unknown nothing is replayed: every handle
//     is closed, the file is reopened and checked.
//   - Bulk writing rests before the disk is full, and while a reader keeps the
//     log long. It goes on by itself.
//   - Nothing is written to a file that was moved away from its path.
//   - A snapshot is ended before it keeps the log long for too long.
package file
