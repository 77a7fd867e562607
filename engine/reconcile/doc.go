// Package reconcile makes a mailbox in the store equal to the one on the
// server. It is the work of one folder_sync.
//
// What always holds:
//   - A listing and the store are compared, and every difference is removed:
//     what left is expunged, what moved to other UIDs is bound, what is new is
//     fetched, flags are updated.
//   - Nothing is expunged on the word of one source. The server is asked for
//     the messages, and a mass of them is listed again on a new connection.
//   - HIGHESTMODSEQ is stored only with the flags that it vouches for (RFC
//     7162).
//   - A generation (UIDVALIDITY) replaces the shown one when it is whole.
//   - The pass ends in one transaction with its task.
package reconcile
