// Package health decides what may be tried now and records faults. A fault
// comes in through Report. Every "not now" goes out as a Hold: it says what
// waits, why, until when, and who may end the wait.
//
// What always holds:
//   - ReportTx is the only caller of storage.Writer.RecordFault in the engine.
//   - Holds.Hold is pure. The working process fills Holds from memory, every
//     other process from the store (Stored). Both get the same answer.
//   - A scope is an account or a host. It backs off until the last deadline of
//     its classes. Only success clears it: for an account something useful,
//     such as a checkpoint that moved, but never a mere sign-in; for a host a
//     greeting.
//   - Five failures within ten minutes open a circuit breaker. At its deadline
//     one probe goes through, and everybody else waits for the result.
//   - Deadlines count on the monotonic clock while the process lives, so a wall
//     clock that is set moves none of them. A stored deadline is trusted for as
//     long as its fault asked to wait, never longer.
//   - Some words may be about one mailbox or about its account. They are the
//     account's when two mailboxes say them with no useful work in between
//     (Words).
//   - A person may shorten every wait. A quota's wait takes force.
package health
