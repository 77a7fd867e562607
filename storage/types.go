package storage

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"mailcote/storage/class"
)

// Row keys are distinct types, so that none is passed where another is meant.
// They never leave the store as JMAP ids.
type (
	// AccountID is the row key of an account.
	AccountID int64
	// MailboxID is the row key of a mailbox.
	MailboxID int64
	// EntryID is the row key of an entry.
	EntryID int64
	// EmailRow is the row key of an email; its JMAP id is EmailID.
	EmailRow int64
	// BlobID is the row key of a blob.
	BlobID int64
	// TaskID is the row key of a sync task.
	TaskID int64
	// RunID is the row key of a sync run.
	RunID int64
)

// EmailID is an email's JMAP id (RFC 8620 §1.2): mostly random, never computed,
// never given to another. The email gets a new one when its thread joins a larger
// one; Reader.FindEmail takes the former for 30 days.
type EmailID string

// UID is a message's unique identifier in one mailbox under one UIDVALIDITY
// (RFC 9051 §2.3.1.1).
type UID uint32

// UIDValidity names one generation of a mailbox's UIDs; 0 means none is known.
type UIDValidity uint32

// ModSeq is a modification sequence (RFC 7162), below 2^63; 0 means none is
// known.
type ModSeq uint64

// Level is what coverage vouches for.
type Level string

// The levels of coverage.
const (
	LevelHeader Level = "header"
	LevelBody   Level = "body"
)

// Range is a closed range of UIDs, Lo ≤ Hi.
type Range struct{ Lo, Hi UID }

// AllUIDs is the range of every UID there can be.
func AllUIDs() Range { return Range{1, math.MaxUint32} }

// Account is one IMAP login.
type Account struct {
	ID           AccountID
	Name         string // what a person calls it, unique
	User, Host   string // identity, on a loopback host with Port
	Port         int
	Security     string // tls, starttls or plain
	Insecure     bool   // plain to a host that is not loopback was asked for
	SecretRef    string // where the password comes from; never the password
	Paused       bool
	PauseClass   class.Class
	PauseReason  string
	ServerID     string
	Capabilities string
	CreatedAt    time.Time
	LastSuccess  time.Time // zero: never
}

// Mailbox is one mailbox of an account.
type Mailbox struct {
	ID          MailboxID
	Account     AccountID
	Raw         string // the name's bytes as the server writes them
	Path        string // decoded, valid UTF-8
	Delimiter   string // "" when the server has none
	Role        string // RFC 8621 role, "" when none
	Attributes  string // LIST attributes, space-separated
	Selectable  bool
	Priority    int // 1–10, higher first
	UIDValidity UIDValidity
	Building    *UIDValidity // generation being fetched while another is shown
	ModSeq      ModSeq       // flags of shown entries are current up to it
	RemoteTotal int64        // messages the server listed last
	Pass        Pass
	Total       int64
	Unread      int64
	Gone        bool
	ObjectID    string      // the server's MAILBOXID (RFC 8474); "" when it gives none
	OwnValidity UIDValidity // stands in for the UIDVALIDITY that the server does not give; 0 when it does
	Synced      bool        // false: a person left the mailbox out
	CompletedAt time.Time   // when a pass last ended complete; zero: never
	Refused     string      // the server's words when it would not open the mailbox; "": it opens
	RefusedAt   time.Time   // when it said so
	Unstable    int         // how often in a row STATUS and EXAMINE gave different UIDVALIDITYs
	FlagsAt     time.Time   // when a comparison of all flags last ended; zero: never
	FlagsUID    UID         // where the present comparison goes on; 0: at the beginning
	HiddenAt    time.Time   // when a comparison last found a change that MODSEQ had not shown; zero: never
}

// Counts reports whether the account is incomplete without the mailbox: it can
// be opened, the server lets it be read, and nobody left it out.
func (m Mailbox) Counts() bool { return m.Selectable && m.Synced && m.Refused == "" }

// Pass is what the server said about a mailbox when its last pass ended
// complete. At is zero when the last pass did not.
type Pass struct {
	UIDNext UID
	Total   int64
	ModSeq  ModSeq
	Unseen  *int64 // nil: STATUS did not say
	Exists  *int64 // what EXISTS says where it never agrees with the listing; nil: it agrees
	At      time.Time
}

// Flags is a set of IMAP flags as the store keeps it: sorted, space-separated,
// system flags in RFC case, no \Recent.
type Flags string

// Has reports whether the set holds flag, compared as IMAP does, without case.
func (f Flags) Has(flag string) bool {
	for one := range strings.FieldsSeq(string(f)) {
		if strings.EqualFold(one, flag) {
			return true
		}
	}
	return false
}

// Sum is a digest of the flags for comparisons in memory. Whoever compares
// gives the seed.
func (f Flags) Sum(seed maphash.Seed) uint64 { return maphash.String(seed, string(f)) }

// systemFlag gives the system flags of RFC 9051 §2.3.2 by their lower-case
// form.
func systemFlag(lower string) (string, bool) {
	switch lower {
	case `\seen`:
		return `\Seen`, true
	case `\answered`:
		return `\Answered`, true
	case `\flagged`:
		return `\Flagged`, true
	case `\deleted`:
		return `\Deleted`, true
	case `\draft`:
		return `\Draft`, true
	}
	return "", false
}

// NewFlags makes the canonical form of a set of flags. It drops \Recent, empty
// words and duplicates (compared without case), and white space and control
// characters in a hostile flag. The rest is sorted bytewise.
func NewFlags(flags []string) Flags {
	kept := make([]string, 0, len(flags))
	var seen map[string]bool // nil: they are so few that each is compared with each
	if len(flags) > 16 {
		seen = make(map[string]bool, len(flags))
	}
	for _, flag := range flags {
		if strings.ContainsFunc(flag, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			flag = strings.Map(dropControl, flag)
		}
		if flag == "" || strings.EqualFold(flag, `\Recent`) {
			continue
		}
		if flag[0] == '\\' {
			if system, ok := systemFlag(strings.ToLower(flag)); ok {
				flag = system
			}
		}
		switch {
		case seen == nil && slices.ContainsFunc(kept, func(k string) bool { return strings.EqualFold(k, flag) }):
			continue
		case seen != nil:
			folded := strings.Map(fold, flag)
			if seen[folded] {
				continue
			}
			seen[folded] = true
		}
		kept = append(kept, flag)
	}
	slices.Sort(kept)
	return Flags(strings.Join(kept, " "))
}

// fold gives one rune for all that strings.EqualFold takes for the same.
func fold(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

func dropControl(r rune) rune {
	if r <= ' ' || r == 0x7f {
		return -1
	}
	return r
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

func nullMillis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}
