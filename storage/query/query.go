package query

import "time"

// Bounds of a query, so that no caller can make SQLite build a huge expression.
const (
	MaxLength = 4096 // bytes
	MaxTerms  = 64   // clauses
	MaxDepth  = 20   // parentheses in parentheses
)

// Column says where a term is looked for.
type Column string

// The columns of the language. From, To, Cc and Bcc live in the index's people
// column. To finds Cc too.
const (
	Anywhere Column = ""
	Subject  Column = "subject"
	From     Column = "from"
	To       Column = "to"
	Cc       Column = "cc"
	Bcc      Column = "bcc"
	Filename Column = "filename"
)

// Query is a parsed search.
type Query struct {
	Expr  Expr     // nil: everything matches
	Hints []string // sentences about words that look like operators and are none
}

// Expr is what a message must fulfil: And, Or, Not, or one of the conditions
// below.
type Expr interface{ expr() }

// And holds where each of its parts does, at least two.
type And []Expr

// Or holds where any of its parts does, at least two.
type Or []Expr

// Not holds where Expr does not.
type Not struct{ Expr Expr }

// Term is a piece of text that must be there.
type Term struct {
	Column Column
	Text   string // as written, valid UTF-8, without quotes and the asterisk; it holds a letter, digit or emoji
	Phrase bool   // it was quoted
	Prefix bool   // the last word may go on
}

// Before holds for what was received before a moment.
type Before struct{ At time.Time }

// After holds for what was received at a moment or later.
type After struct{ At time.Time }

// Unread holds for a message of which a copy is unread.
type Unread struct{}

// Flagged holds for a message of which a copy is flagged.
type Flagged struct{}

// Attached holds for a message that has an attachment.
type Attached struct{}

// Larger holds for a message of more bytes.
type Larger struct{ Bytes int64 }

// Smaller holds for a message of fewer bytes.
type Smaller struct{ Bytes int64 }

// In holds for a message of which a copy is in a mailbox of that name. See
// Name.Mailbox.
type In struct{ Name Name }

// Account holds for a message of an account of that name. See Name.Account.
type Account struct{ Name Name }

func (And) expr()      {}
func (Or) expr()       {}
func (Not) expr()      {}
func (Term) expr()     {}
func (Before) expr()   {}
func (After) expr()    {}
func (Unread) expr()   {}
func (Flagged) expr()  {}
func (Attached) expr() {}
func (Larger) expr()   {}
func (Smaller) expr()  {}
func (In) expr()       {}
func (Account) expr()  {}

// All gives the conditions that must all hold.
func (q Query) All() []Expr {
	switch e := q.Expr.(type) {
	case nil:
		return nil
	case And:
		return e
	}
	return []Expr{q.Expr}
}
