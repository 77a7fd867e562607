// Package message turns the raw bytes of a mail into what mailcote shows,
// threads and indexes. It knows nothing of IMAP or the store.
//
// What always holds:
//
//   - Every function is total: any input gives a result, nothing panics,
//     nothing is an error but a failed read in Part. What could not be read is
//     named in View.Problems; the raw bytes stay the truth and a view can be
//     made again.
//   - Every string is valid UTF-8 without NUL. Apart from that it is the
//     sender's: names, ids and file names may hold anything and must be escaped
//     where they are shown, and never joined into a path or a command.
//   - Work is linear in the bytes and memory is bounded by Limits, whatever the
//     length of the message: bodies stream, only the text that is kept is held.
//   - There is no state between calls; all functions may be called at once.
//
// Units: Limits and sizes are bytes, Preview and file names characters, dates
// UTC clamped to [1971, 9999). Sources: RFC 5322, 2045–2047, 2231, 5256 §2.1,
// 8621 §4, part numbers RFC 9051 §6.4.5.1.
//
// # Why the structure is not read with go-message
//
// LIBRARIES §3 picked go-message v0.18.2 in a tolerant wrapper. Measured on two
// shared cores, a wrapper cannot repair these, because they end the stream or
// cost time inside it:
//
//	case                                      go-message               here
//	a part with a header line without colon   0 of 2 parts, error      both
//	Content-Type: …; name=my file.pdf; boundary=b
//	                                          boundary lost, error     read
//	header line of 5 MiB                      error, no message        cut
//	8 MiB text below 1, 10, 50, 100 multiparts
//	                                          2, 18, 88, 179 ms        6, 7, 9, 9 ms
//	a typical 20 kB mail                      55 µs to walk the parts  50 µs for the view
//
// So scanner finds parts itself, in one pass over lines with a stack of
// boundaries. For the same reason address lists (net/mail refuses a whole list
// for one bad entry), dates (it reads "EST" as UTC) and encoded words are read
// here. On well-formed input the tests hold all of them against go-message,
// net/mail and mime. Charsets are golang.org/x/text, guesses wlynxg/chardet,
// HTML tokens x/net/html.
//
// # Decisions
//
//   - A multipart/alternative gives its plain text; its HTML is only decoded
//     when there is less than 256 bytes of that, which may be a stub.
//   - The text of attached messages is part of Text; they are attachments too.
//   - A message may cost 8 statistical charset guesses (about 1 ms each); after
//     that undeclared 8-bit text is windows-1252.
//   - format=flowed is not undone; winmail.dat and uuencode stay opaque.
package message
