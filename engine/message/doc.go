// Package message turns the raw bytes of a mail into what mailcote shows,
// threads and indexes. It knows nothing of IMAP or the store.
//
// Invariants:
//
//   - Every function is total: any input gives a result, nothing panics, and
//     the only error is a failed read in Part. What could not be read is named
//     in View.Problems. The raw bytes stay authoritative, and a view can be
//     made again.
//   - Every string is valid UTF-8 without NUL. Apart from that it is the
//     sender's. Names, ids and file names may contain anything. They must be
//     escaped where they are shown, and never joined into a path or a command.
//   - Work is linear in the bytes. Memory is bounded by Limits whatever the
//     length of the message: bodies are streamed, and only the text that is
//     kept is held.
//   - There is no state between calls. All functions may run concurrently.
//
// Units: Limits and sizes are in bytes, Preview and file names in characters.
// Dates are UTC, in [1971, 9999). Sources: RFC 5322, 2045–2047, 2231, 3676,
// 5256 §2.1, 8621 §4, and RFC 9051 §6.4.5.1 for part numbers.
//
// # Why the structure is not read with go-message
//
// The first design was a tolerant wrapper around go-message v0.18.2. A wrapper
// cannot repair the following, because go-message ends the stream or spends the
// time inside it. Measured on two shared cores:
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
// So the scanner finds parts itself, in one pass over lines with a stack of
// boundaries. Address lists, dates and encoded words are read here for the same
// reason: net/mail refuses a whole list for one bad entry and reads "EST" as
// UTC. On well-formed input the tests compare all of them with go-message,
// net/mail and mime. Charsets come from golang.org/x/text, guesses from
// wlynxg/chardet, HTML tokens from x/net/html.
//
// # Rules for what senders get wrong
//
// Bytes prove more than labels. A label is disproved by bytes that cannot be
// it. A part that cannot be understood is an attachment: it is neither lost nor
// shown as text. A date or an address that cannot be read is none, and never
// another one. A damaged byte costs itself, not the text around it. A change of
// a rule raises Version.
//
// Charsets:
//
//   - A byte order mark proves UTF-8, UTF-16 or UTF-32 and is no text (RFC 3629
//     §6, WHATWG Encoding §6 "decode"). Unmarked UTF-16 is known by its NULs.
//   - The escapes ESC $ B, ESC $ @, ESC ( I, ESC $ ( D prove ISO-2022-JP (RFC
//     1468), ESC $ ) C the Korean form (RFC 1557), ESC $ ) A the Chinese one (RFC
//     1922), whatever the label says: no other text has them.
//   - 8-bit bytes disprove ASCII and every 7-bit label (RFC 1468: ISO-2022-JP is
//     7-bit). Text that was declared as ISO-2022-JP is then EUC-JP, Shift_JIS or
//     UTF-8, whichever makes fewer errors.
//   - Valid UTF-8 disproves a single-byte label, because other text is UTF-8 only
//     by accident. Fewer than three characters must be in the declared charset.
//     A multi-byte label needs four, or bytes that it cannot have. Such bytes also
//     give way to the other charset of the language (Shift_JIS and EUC-JP, GB18030
//     and Big5), if that can read them all and as usual characters, and the declared
//     one reads unusual ones. One damaged character disproves no label.
//   - UTF-8 with cut or foreign bytes stays UTF-8. Each run of bad bytes becomes
//     one U+FFFD (Unicode §3.9, WHATWG). Lines that are no UTF-8 at all are of
//     another program, as footers are, and are read by themselves. So are lines
//     of UTF-8 in a single-byte charset, and 8-bit lines in ISO-2022-JP.
//   - Labels count by their letters and digits: "latin-1", "x-win1251", "CP 850",
//     "iso-2022-jp-ms", code page numbers. Then come the names of the WHATWG and
//     of IANA. C1 controls disprove ISO 8859-2 to -15 in favour of the Windows
//     charset around it, as WHATWG Encoding §4.2 has it for 8859-1 and -9.
//   - Other labels count as none. Text without one has the charset that the
//     message declares for its text, otherwise a guessed one. Raw 8-bit header
//     fields wait for that text, since one program wrote both.
//   - A message may cost 8 statistical guesses of about 1 ms each. A guess is kept
//     until a text with twice the bytes is seen, so equal bytes read alike.
//
// Encoded words (RFC 2047) and parameters (RFC 2231):
//
//   - Adjacent words in one charset are joined before the charset is decoded. A
//     word that ends inside a base64 group or an escape goes on in the next one,
//     against §5. Senders cut at a length (node-imap #360, mailparser #89, vmime
//     #98 on GitHub). The base64 of RFC 4648 §5 counts, too.
//   - Words in a parameter are decoded, against RFC 2047 §5, and in the pieces of
//     name*0, name*1 after the pieces are joined: a name is lost otherwise. Pieces
//     count in the order of their numbers, also if one is missing.
//
// Structure:
//
//   - The type ends where a token ends (RFC 2045 §5.1), not at a semicolon. A value
//     that is no type and subtype is text (§5.2), unless it has a name, a
//     disposition or a transfer encoding: then it is an attachment. Brackets, a
//     backslash or several slashes, a full stop behind it are no part of it.
//   - Text or HTML that is not text by its bytes (a known file, many control
//     characters) is an attachment.
//   - A boundary does not end in white space (RFC 2046 §5.1.1). A line with a
//     parameter belongs to the field before it, even without an indent. If the
//     declared boundary does not come, a line "--x" before a Content- field of
//     a part is the boundary. So is the first line of a message without a type.
//   - A header ends at an empty line, at a line of white space that no field
//     follows, or at a line that is no field if no field follows: in a header, the
//     text would be lost. A single short line before the empty one is a damage.
//   - Only known fields are kept, and a quarter of Limits.Header of one of them, so
//     that no field takes the room of those behind it.
//   - The line end before a boundary belongs to it (RFC 2046 §5.1.1), also that of
//     the empty line after a header.
//   - A message/rfc822 in base64 or quoted-printable is opened, against RFC 2046
//     §5.2.1. Programs encode every attachment (swoosh #1096, glpi #9176 on GitHub).
//   - A Message-ID may be one word without <> and "@".
//
// Transfer encodings:
//
//   - A Content-Transfer-Encoding may have comments (RFC 2045 §6.1) and an "x-".
//   - Base64 ends at its padding, or at a line that is none. What follows is a text
//     of its own without a charset, since lists and gateways append it. RFC 2045
//     §6.8 leaves it open. Another padded piece goes on, as Mailman's footers are
//     (mailparse #95 on GitHub). A foreign byte in a line is skipped (§6.8), but
//     "-" and "_" are of the alphabet of RFC 4648 §5 if neither "+" nor "/" came
//     before, and the groups are not whole without them. What is no base64 from its
//     first line stays.
//   - A uuencoded file is an attachment, in a text or as x-uuencode (POSIX.1
//     uuencode): as text nobody can read it. Its path is that of the part with ".u1",
//     ".u2" behind it. Its first data line must be complete, so that a sentence
//     with "begin" stays text.
//
// Text:
//
//   - Of a multipart/alternative the plain text is taken. The HTML is taken if the
//     plain text is a stub: shorter than 1,024 bytes, and fewer than half of its
//     words are on the page; or shorter than 256 bytes and half of the page. Links
//     do not count on either side, since a page may have them behind words.
//   - A name makes no attachment of an alternative or of the root of a related
//     part (RFC 2046 §5.1.4, RFC 2387). A disposition "attachment" does.
//   - Other text/* is read as plain text if it is the only text, and prose as
//     text/enriched wherever it stands (RFC 2046 §4.1.4). Of text/enriched (RFC
//     1896) the words are kept, of text/calendar (RFC 5545) what a person reads.
//   - format=flowed and DelSp are undone (RFC 3676 §4). Quote marks stay.
//   - Soft hyphens and zero-width characters stay in the text. Search folds them.
//   - The text of attached messages is part of Text. They are attachments too.
//   - winmail.dat stays opaque.
//
// Addresses (RFC 5322 §3.4, §4.4):
//
//   - Comments and blanks inside an address are no part of it, nor are square
//     brackets around it. Two addresses without a comma are two. An encoded word
//     beside a bare address is its name.
//   - A group without members, whatever brackets stand around it, is nobody, and so
//     are "undisclosed recipients" and their like, and marks without a letter.
//
// Dates (RFC 5322 §3.3, §4.3):
//
//   - Comments and blanks may stand inside a time. A word before a comma at the
//     start is a weekday: "Mar" is Tuesday in French, Italian, Spanish, Romanian.
//   - Names of months of other languages count only if they cannot be another
//     month. 31 February, 24:30, 01-02-2026, two months, and years before 1971
//     or from 9999 on are no dates.
//
// # Conversations
//
//   - The base subject is RFC 5256 §2.1. Words that clients write before an answer
//     in other languages count as "Re:", also with a number (Re[2], Re^2, Re(3)), a
//     dot, a space or a full-width colon. Compatible characters are equal (NFKC),
//     invisible ones do not count.
//   - Ids are read in encoded words, against RFC 2047 §5, and an underscore in them
//     is one. Comments go (RFC 5322 §3.2.2), blanks within an id too. Without <>
//     words with an "@" are ids, otherwise words that all have a digit.
//   - Messages are joined by ids only under an equal base subject (RFC 8621 §3).
package message
