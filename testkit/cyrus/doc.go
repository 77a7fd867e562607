// Package cyrus runs a real Cyrus IMAP server for one test, with its own
// configuration, databases and mail, on a free loopback port.
//
// What always holds:
//
//   - Nothing outside the server's directory is read or written, but the
//     programs.
//   - Close ends every process of the server.
//   - It works as root, when mail belongs to Debian's user "mail", and as an
//     ordinary user.
//
// Mailbox names are decoded UTF-8 with "/" between levels, beside INBOX. Cyrus
// writes its log to syslog only, so there is none here.
package cyrus
