// Package courier runs Courier's imapd for one test, on a free loopback port
// and with Maildirs of its own.
//
// Courier's sign-in asks a daemon at a path that is compiled in. Here the
// sign-in is ours. It says what Courier's says, and hands the connection with
// the tag of LOGIN to the real imapd. Everything after LOGIN is Courier's.
//
// What always holds:
//
//   - Nothing outside the server's directory is read or written.
//   - Close ends every process of the server.
//   - It works as root and as an ordinary user.
//
// A mailbox that is delivered to and never SELECTed has no file of UIDs. Its
// UIDVALIDITY is another one each time a client asks.
package courier
