// Package secret keeps passwords out of everything that is written down.
//
// Invariants:
//   - A Secret prints as dots through every formatter, encoder and logger. Only
//     Reveal returns it, and only the session that signs in calls Reveal.
//   - The store holds a Ref, which says where a password comes from. Of a
//     password file that was refused it holds the modification time too, and
//     nothing that is made from the password.
//   - A saved password is in <store>.secrets, a file of mode 0600 next to the
//     store. The keyring of the operating system comes later.
package secret
