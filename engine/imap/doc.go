// Package imap is one IMAP session: a bounded scanner, the commands a
// synchroniser needs, and time limits that no server can stretch.
//
// What always holds:
//
//   - One goroutine owns a Session. Only Close, Abort, BytesRead and
//     BytesWritten may be called from another one. Nothing is handed over
//     through channels.
//   - Pull, not push: bytes are read only inside a call. The functions of a
//     FetchHandler and of the Observer run in that call, on the caller's
//     goroutine.
//   - FETCH data belongs to the selected mailbox and a UID. It goes to the
//     oldest open FETCH that asked for the UID, whichever command is waited
//     for; a body goes to the oldest of those that take bodies. Each response
//     has one taker. Items may come in any order, unasked, interleaved, without
//     a UID.
//   - Messages that no open FETCH asked for go to the session's one Observer,
//     and so do EXISTS, EXPUNGE, VANISHED and status responses. Bodies that
//     nobody takes are read to their end and count for the command.
//   - A FetchHandler is told nothing once its call has returned. The Observer
//     is dropped when another mailbox is opened.
//   - Nothing is allocated for what a server announces before it is checked
//     against Limits. Unknown responses, items and codes are skipped.
//   - A connection that ends inside a response or literal is
//     io.ErrUnexpectedEOF, never a clean end. After a WireError the session is
//     over: each later call returns that same error at once.
//   - NO, BAD and BYE are StatusErrors: the server's word, not a broken wire.
//     BYE comes inside a WireError, because the connection is over with it.
//   - No credential byte goes out over a plain connection to another host, or
//     before the certificate was verified. Traces and errors carry no secret.
//
// Layers from below: TCP, progressConn (counts bytes, sets every deadline,
// keeps the first cause), TLS, scanner, Session.
//
// Time: a read may be silent for Limits.Progress; a response that has begun
// must bring Limits.MinRate bytes a minute; only time spent blocked in a read
// counts, so a slow handler is never held against the server. A context that
// ends closes the connection; there is no other way to stop half a command.
//
// Units: sizes in octets, MODSEQ as in RFC 7162 (0: absent), times in UTC.
// Sources: RFC 3501 and 9051, 2971 (ID), 3691, 4731 (ESEARCH), 4959 (SASL-IR),
// 5258 and 5819 (LIST), 6154 (special use), 7162 (CONDSTORE, VANISHED), 7888
// (literals). Deviations of real servers are tolerated where a test names them.
package imap
