// Package ask runs SQL that a user wrote on a connection that can only read:
// one statement, under an authorizer that refuses writes, ATTACH and every
// PRAGMA that changes something.
package ask
