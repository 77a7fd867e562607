// Package truth reads an IMAP server the slow and certain way, to compare it
// with what mailcote holds. It changes the server as another client would.
//
// It shares no code with engine/imap and uses none of its libraries: an error
// made in both would show nowhere. It sends one command at a time, keeps whole
// responses in memory and uses no extensions. Reading uses EXAMINE and
// BODY.PEEK and leaves no trace. Client's changes SELECT, and so clear \Recent.
//
// Mailbox names are decoded UTF-8 (modified UTF-7 on the wire, RFC 3501
// §5.1.3).
package truth
