// Package mailbox is one mailbox that is examined on a leased session. It lists
// UIDs, describes messages and renews the session.
//
// What always holds:
//   - The mailbox is opened with EXAMINE. Nothing on the server changes.
//   - One goroutine uses a Mailbox at a time.
//   - A listing counts only if the UIDs still mean what they meant
//     (UIDVALIDITY, RFC 9051 §2.3.1.1). Once Renumbered is true, nothing that
//     was said since is trusted.
//   - The number of a listing is what EXISTS says, or two connections said the
//     same numbers. Agrees tells which.
//   - What the server sends unasked is noted between any two calls. Changed
//     says that a listing may be out of date.
package mailbox
