// Package dovecot runs a real Dovecot 2.3 for one test or one benchmark, with
// its own configuration, sockets and Maildir, on a free loopback port.
//
// What always holds:
//
//   - Nothing outside the server's directory is read or written. The machine's
//     own Dovecot configuration is not used.
//   - Close ends every process of the server.
//   - Two servers share nothing.
//   - It works as root, when mail belongs to Debian's user "dovecot", and as
//     an ordinary user.
//
// Mailbox names are decoded UTF-8 with "/" between levels. On disk they are
// Maildir++ directories in modified UTF-7. A message delivered without flags
// lies in new/ and is \Recent until somebody SELECTs. A message with flags lies
// in cur/.
//
// Dovecot's penalty for failed logins is off unless a test asks for it. It
// would slow every test after a wrong password.
package dovecot
