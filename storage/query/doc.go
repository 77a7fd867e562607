// Package query is the search language of `mailcote search`, and how text must be written into the search index so that
// the language finds it. Pure functions; the storage package runs the result.
//
// The language: clauses separated by spaces, all of which must hold.
//
//	word            in subject, people, text or attachment names; whole words, without case and marks
//	wor*            words that begin so
//	"a phrase"      these words in this order
//	from: to: cc: bcc: subject: filename:   a word, wor* or "phrase" there; to: finds Cc too
//	before: after:  a day: 2026-03-01, today, yesterday, or 3d, 2w, 6m, 1y ago; after: includes the day
//	older_than: newer_than:   12h, 3d, 2w, 6m, 1y, to the hour
//	larger: smaller:          500k, 10M, 1.5G
//	in: account:    a mailbox by its path, the end of it or its role; an account by its name or user; nam* too
//	has:attachment is:unread is:read is:flagged
//	-clause         the opposite of any clause
//	a OR b          either; it binds closer than the space between clauses, as in Gmail
//	( )             clauses together; from:(a OR b) gives the words in them the field
//
// Field names are read without case; a value may be quoted. Everything else is ordinary text: AND, NOT, NEAR, or, + and
// ^ have no meaning, because each piece of the query's text reaches FTS5 inside quotes. A parenthesis inside a word is
// part of it.
//
// Invariants:
//   - Parse never panics, is linear, and accepts at most MaxLength bytes, MaxTerms clauses and MaxDepth parentheses in
//     one another; what it refuses comes as a *SyntaxError with the place, the word and what is allowed.
//   - Spelling.Match gives a valid FTS5 expression over the columns subject, people, text, attachments.
//   - Text is found only if it was indexed in the Spelling of the query.
//
// What words are (Folded). Text is brought to NFKD; what is invisible and the marks that people leave out go; letters
// become lower case, ß ss, digits of all scripts ASCII; what is left is NFC. Letters, digits and the marks that stay
// make words. An emoji is a word of its own. Runs of scripts without blanks become their pairs of characters and the
// last character alone, so that every part of a run is found. FTS5's tokenizer ascii then only parts words at blanks:
// index and query are cut by one program, whatever SQLite knows of Unicode.
//
// How from: and to: are exact: there is one people column, and a LIKE on email.sender beside it would neither
// fold accents and case as the index does nor know words ("ann" is in "Joanna"). So Spelling.People writes every word
// again with a private-use sign in front that says whose it is, and from: asks for the word with its sign.
package query
