// Package script is a small IMAP server inside a test, for what no real server can be made to do: it serves a model in
// memory and misbehaves on demand.
//
// It speaks what engine/imap asks for (RFC 3501 with CONDSTORE, ESEARCH, LIST-STATUS, SASL-IR and ID) and nothing
// else; an unknown command gets BAD. A session sees a mailbox as it was at EXAMINE until NOOP or UID SEARCH tells
// it the news.
//
// What always holds: the model is only touched under the server's lock, through Change; hooks run without the
// lock, so that they may call Change; Close ends every connection and waits for every goroutine.
package script
