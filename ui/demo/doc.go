// Package demo is the embedded IMAP server behind `mailcote demo`: a
// believable mailbox on a free port of 127.0.0.1, gone when it is closed.
//
// What always holds:
//   - Mailbox is a pure function of (seed, now, count): the same three give
//     the same bytes (pictures on one architecture). Password and arrivals
//     of a running Server are chance.
//   - Everybody in it is invented and every address lies in example.org,
//     example.com or example.net (RFC 2606), so nothing that a person does
//     with the demo can reach a stranger.
//   - In-Reply-To and References only name messages of the same corpus
//     (RFC 5322 §3.6.4); no message is dated after now; dates lie within the
//     last two years (Horizon) and the newest is now.
//   - Close returns after the listener, every connection and the arrivals
//     goroutine have ended.
//
// The server is go-imap's imapserver on its imapmemserver, plain, on
// loopback. It has no CONDSTORE. imapmemserver keeps no special-use
// attributes; the session here adds them to LIST (RFC 6154).
//
// The words live in text/*.txt, one file a language; their format is in
// phrases.go.
package demo
