// Package script is a small IMAP server inside a test, for what no real server
// can be made to do. It serves a model in memory and misbehaves on demand.
//
// It speaks what engine/imap asks for (RFC 3501 with CONDSTORE, ESEARCH,
// LIST-STATUS, SASL-IR and ID) and nothing else. An unknown command gets BAD. A
// session sees a mailbox as it was at EXAMINE, until NOOP or UID SEARCH brings
// the news.
//
// What always holds: the model is only touched under the server's lock, through
// Change. Hooks run without the lock, so that they may call Change. Close ends
// every connection and waits for every goroutine.
package script
