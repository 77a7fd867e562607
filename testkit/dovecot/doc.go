// Package dovecot runs a real Dovecot 2.3 for one test or one benchmark: own configuration, own sockets, own Maildir,
// a free loopback port.
//
// Invariants: nothing outside the server's directory is read or written (the machine's own Dovecot configuration is
// not used); Close ends every process of it; two servers never share anything. Works as root (mail then belongs to
// Debian's user "dovecot") and as an ordinary user.
//
// Mailbox names are decoded UTF-8 with "/" between levels, as IMAP shows them here; on disk they are Maildir++
// directories in modified UTF-7. A message delivered without flags lies in new/ and is \Recent until somebody SELECTs;
// one with flags lies in cur/.
//
// The penalty Dovecot puts on failed logins is off unless asked for: it would slow every test after a wrong password.
package dovecot
