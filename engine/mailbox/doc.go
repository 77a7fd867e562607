// Package mailbox is one mailbox that is examined on a leased session: who works in it asks here for its UIDs,
// for what its messages look like, and for a session of its own.
//
// What always holds:
//   - The mailbox is opened with EXAMINE. Nothing on the server changes.
//   - One goroutine uses a Mailbox at a time.
//   - A listing counts only when its number is what EXISTS says, and when the UIDs still mean what they meant
//     (UIDVALIDITY, RFC 9051 §2.3.1.1). After Renumbered has become true nothing that was said since is believed.
//   - What the server tells unasked is noted between any two calls: Changed says that a listing may be out of date.
package mailbox
