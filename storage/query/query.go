package query

import "time"

// Bounds of a query, so that no caller can make SQLite build a huge expression.
const (
	MaxLength = 4096 // bytes
	MaxTerms  = 64
)

// Column says where a term is looked for.
type Column string

// The columns of the language; From and To live in the index's people column.
const (
	Anywhere Column = ""
	Subject  Column = "subject"
	From     Column = "from"
	To       Column = "to"
)

// Term is a piece of text that must be there, or must not.
type Term struct {
	Column Column
	Text   string // as written, valid UTF-8, without quotes and the asterisk; it holds a letter or digit
	Phrase bool   // it was quoted
	Prefix bool   // the last word may go on
	Not    bool
}

// Query is a parsed search. The zero Query holds no condition: everything
// matches.
type Query struct {
	Match   []Term    // all must hold
	After   time.Time // received at or after; zero: no limit
	Before  time.Time // received before; zero: no limit
	Unread  *bool     // nil: either
	Flagged *bool     // nil: either
}
