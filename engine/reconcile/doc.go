// Package reconcile makes a mailbox in the store what it is on the server: one folder_sync.
//
// What always holds:
//   - A listing and the store are compared, and every difference is settled: what left is taken out, what moved
//     to other UIDs is bound, what is new is fetched, flags are made current.
//   - Nothing is taken out that only one source says is gone: the server is asked for the messages, and a mass of
//     them is listed again on a new connection.
//   - HIGHESTMODSEQ is stored only with the flags that it vouches for (RFC 7162).
//   - A generation (UIDVALIDITY) takes the place of the shown one when it is whole.
//   - The pass ends in one transaction with its task.
package reconcile
