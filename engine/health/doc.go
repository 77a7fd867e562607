// Package breaker decides when an account or a host that failed is tried again, and by whom: circuit breakers per scope and
// class, with waits that grow and survive a restart. It is pure but for a lock; who uses it writes the rows.
//
// What always holds:
//   - A scope is let be until the last deadline of its classes. Only success clears it, and what success is the caller says:
//     for an account something useful (a checkpoint moved), never a mere sign-in; for a host a greeting.
//   - Five failures within ten minutes open a breaker. An open one lets one probe through at its deadline: others wait for
//     what becomes of that, whoever they are.
//   - Deadlines count on the monotonic clock while the process lives, so that a wall clock that is set moves none of them.
//     One that comes from a row is believed for as long as its fault asked to wait, never longer.
//   - Words that may be about one mailbox or about its account are the account's when two mailboxes say them, with no useful work
//     in between (Words).
//   - A person may shorten every wait but a quota's.
package health
