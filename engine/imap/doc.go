// Package imap is a client for one IMAP connection: a bounded scanner, the
// commands that a synchroniser needs, and time limits that no server can
// stretch.
//
// Invariants:
//
//   - One goroutine owns a Session. Only Close, Abort, BytesRead and
//     BytesWritten may be called from another. No channels are involved.
//   - Data is pulled. Bytes are read only during a call, and the functions of a
//     FetchHandler and of the Observer run during that call, on the caller's
//     goroutine.
//   - FETCH data is identified by UID. It goes to the oldest open FETCH that
//     asked for the UID, whichever command is being waited for. A body goes to
//     the oldest of those that take bodies. Each response has exactly one
//     taker. Items may come in any order, unsolicited, interleaved, or without
//     a UID.
//   - Messages that no open FETCH asked for go to the session's one Observer,
//     as do EXISTS, EXPUNGE, VANISHED and status responses. Bodies that nobody
//     takes are read to their end and count towards the command's limit.
//   - A FetchHandler is not called after its command has returned. The Observer
//     is removed when another mailbox is opened.
//   - Nothing is allocated for a size that a server announces before it is
//     checked against Limits. Unknown responses, items and codes are skipped.
//   - A connection that ends inside a response or literal is
//     io.ErrUnexpectedEOF, never a clean end. After a WireError the session is
//     over, and each later call returns that same error at once.
//   - NO, BAD and BYE are StatusErrors: what the server said, not a broken
//     connection. A BYE comes inside a WireError, because it ends the
//     connection.
//   - No credential byte is sent over a plain connection to another host, or
//     before the certificate was verified. Traces and errors contain no secret.
//
// Layers from below: TCP, progressConn (counts bytes, sets every deadline,
// keeps the first cause), TLS, scanner, Session.
//
// Time: a read may be silent for Limits.Progress. A response that has begun
// must bring Limits.MinRate bytes in each Limits.Window. Only time spent
// blocked in a read counts, so a slow handler is never blamed on the server. A
// context that ends closes the connection; there is no other way to stop in the
// middle of a command.
//
// Units: sizes in octets, MODSEQ as in RFC 7162 (0: absent), times in UTC.
// Sources: RFC 3501 and 9051, 2971 (ID), 3691, 4731 (ESEARCH), 4959 (SASL-IR),
// 5258 and 5819 (LIST), 6154 (special use), 7162 (CONDSTORE, VANISHED), 7888
// (literals). Deviations of real servers are tolerated where a test names them.
package imap
