package plan

import (
	"time"

	"mailcote/storage"
)

// AskRefused is how long a mailbox that the server does not let the account
// read is left alone. Its rights may change.
const AskRefused = 24 * time.Hour

// Asks reports whether a pass asks the server for a mailbox. One that a person
// left out is never asked for. One that the server refused is asked for once a
// day, and when a person names it.
func Asks(m storage.Mailbox, now time.Time, named bool) bool {
	switch {
	case !m.Synced:
		return false
	case m.Refused == "" || named:
		return true
	}
	return now.Before(m.RefusedAt) || now.Sub(m.RefusedAt) >= AskRefused // before: the clock was set back
}
