// Package connpool gets signed-in sessions with one account's server and keeps them.
//
// What always holds:
//
//   - A Pool never has more connections open or being opened than Options.Connections allows, and a session has
//     one user at a time. Bulk work leaves one connection to a person where two are allowed; where one is, it
//     hands its session over at the next Yield. Only a Watch may hold the connection that is a person's, because
//     it gives way at once (see rule.go).
//   - A session is leased on proof: bytes within the last minute, or a NOOP answered in time. After a sleep every
//     session is presumed dead.
//   - Credentials go out once an attempt. A server that took them and fell silent gets them once more a minute
//     later, then a person has to act; Memory carries that over a restart.
//   - Over the whole process at most as many dials run at once as the Gate lets in. Accounts whose last dial
//     failed share half of it, so that dead servers do not keep living ones waiting.
//   - A session that is given back is in order: no command is open and no handler is left on it. Which mailbox is
//     selected is not said.
//
// A Pool has no goroutine; its one timer ends with Close. Methods of a Pool may be called from any goroutine,
// those of a Lease by its owner only.
package connpool
