// Package connpool opens signed-in sessions with one account's server and keeps
// them for reuse.
//
// What always holds:
//
//   - A Pool never has more connections open or being opened than
//     Options.Connections allows. A session has one user at a time. Of two or
//     more connections bulk work leaves one for interactive commands. Of a
//     single one it hands the session over at the next Yield. A Watch may use
//     the connection left for interactive commands, because it gives way at
//     once (see rule.go).
//   - A session is leased on proof: it was given back within the last half
//     minute, or a NOOP was answered in time. After a sleep every session is
//     presumed dead.
//   - Credentials go out once an attempt. A server that took them and fell
//     silent gets them once more a minute later. Then a person has to act.
//     Memory carries that over a restart.
//   - The Gate bounds the dials that run at once in the whole process. Accounts
//     whose last dial failed share half of it, so that dead servers do not keep
//     living ones waiting.
//   - A session that is given back has no open command and no handler. Which
//     mailbox is selected is undefined.
//
// A Pool has no goroutine. Its one timer ends with Close. Methods of a Pool may
// be called from any goroutine, those of a Lease by its owner only.
package connpool
