// Package health knows what may be tried now, and keeps what faults have shown. A fault comes in by Report; every
// "not now" goes out as a Hold, which says what waits, why, until when, and who may end it.
//
// What always holds:
//   - ReportTx is the only caller of storage.Writer.RecordFault in the engine.
//   - Holds.Hold is pure: what may forbid an attempt and a time in, an answer out. The process that works fills
//     Holds from memory, any other one from the store (Stored), and both get the same answer.
//   - A scope, an account or a host, backs off until the last deadline of its classes. Only success clears it,
//     and what success is the caller says: for an account something useful (a checkpoint moved), never a mere
//     sign-in; for a host a greeting.
//   - Five failures within ten minutes open a circuit breaker. An open one lets one probe through at its
//     deadline: others wait for the result, whoever they are.
//   - Deadlines count on the monotonic clock while the process lives, so that a wall clock that is set moves none
//     of them. One that comes from a row is believed for as long as its fault asked to wait, never longer.
//   - Words that may be about one mailbox or about its account are the account's when two mailboxes say them,
//     with no useful work in between (Words).
//   - A person may shorten every wait but a quota's, which takes force.
package health
