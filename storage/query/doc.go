// Package query is the search language of `mailcote search`, and how text must be written into the search index so that
// the language finds it. Pure functions; the storage package runs the result.
//
// The language: clauses separated by spaces, all of which must hold.
//
//	word            in subject, people, text or attachment names; whole words, without case and accents
//	wor*            words that begin so
//	"a phrase"      these words in this order
//	from: to: subject:   a word, wor* or "phrase" in the sender, a recipient, the subject
//	before:2026-03-01    received before that day begins
//	after:2026-03-01     received on that day or later
//	is:unread is:read is:flagged
//	-clause         the opposite of any clause
//
// Field names are read without case; a value may be quoted. Everything else is ordinary text: AND, OR, NEAR,
// parentheses, + and ^ have no meaning, because each piece of the query's text reaches FTS5 inside quotes.
//
// Invariants:
//   - Parse never panics, is linear, and accepts at most MaxLength bytes and MaxTerms terms; what it refuses comes as a
//     *SyntaxError with the place, the word and what is allowed.
//   - FTS and Excluded are valid FTS5 expressions over the columns subject, people, text, attachments (or "").
//   - Text is found only if it was indexed through Index, and the people column through IndexPeople: both sides use the
//     same spelling (NFC, CJK in bigrams, marked people).
//
// How from: and to: are exact: there is one people column, and a LIKE on email.sender beside it would neither
// fold accents and case as FTS5 does nor know words ("ann" is in "Joanna"). So IndexPeople writes every word
// twice, plain and with a private-use mark in front that says sender or recipient, and from:/to: ask for the
// marked word.
//
// A limit: a single CJK character is found where a pair begins with it or where it stands alone, not at the end
// of a longer run.
package query
