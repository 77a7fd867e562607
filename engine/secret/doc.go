// Package secret keeps passwords out of everything that is written down.
//
// What always holds: a Secret prints as dots through every formatter, encoder
// and logger; only Reveal gives it, and only the session that signs in calls
// it. The store holds a Ref, which says where a password comes from. A
// remembered password is in <store>.secrets, a 0600 file beside the store (the
// OS keyring comes later).
package secret
