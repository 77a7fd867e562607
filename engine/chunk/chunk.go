package chunk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/imap"
)

const (
	start = 256 << 10 // octets asked for at first
	// Most is the largest part that is asked for.
	Most = 1 << 20
	// Least is the smallest part that is asked for.
	Least = 4 << 10
	grow  = 4 // parts in a row after which the next is larger
	tries = 3 // sessions that the smallest part may end
	// unseen is the same before any part came.
	unseen = 2
)

// ErrLeftOut means that the server answers without the message.
var ErrLeftOut = errors.New("the server lists the message and does not deliver it")

// Body is how far a message has come. One goroutine uses it at a time.
type Body struct {
	uid     goimap.UID
	claimed int64
	have    int64
	size    int64 // of the next part
	streak  int   // parts of this size that came in a row
	ended   int   // sessions in a row that ended without a part
	short   bool  // the last part was shorter than asked for
}

// New begins a message. claimed is its RFC822.SIZE, a hint, or -1 if unknown.
func New(uid goimap.UID, claimed int64) *Body {
	b := &Body{uid: uid, claimed: claimed, size: start}
	if claimed >= 0 {
		b.size = min(b.size, max(claimed, Least))
	}
	return b
}

// Have is how many octets came.
func (b *Body) Have() int64 { return b.have }

// Want is how many octets the next part should ask for.
func (b *Body) Want() int64 {
	if left := b.claimed - b.have; left >= 0 && left <= b.size {
		// a whole message then ends in a short answer: some servers refuse to
		// read at the end
		return left + 1
	}
	return b.size
}

// Next asks for the next want octets on a session whose mailbox is open. end:
// there are no more. Errors are ErrLeftOut, the server's *imap.StatusError, or
// what ended the session. After the last of these, call Broke.
func (b *Body) Next(ctx context.Context, s *imap.Session, want int64) (piece []byte, end bool, err error) {
	piece, answered, err := b.ask(ctx, s, want)
	if s.Err() != nil {
		return nil, false, err
	}
	if len(piece) == 0 {
		// a refusal is no end: a server that gives short parts may refuse in
		// the middle
		if b.have > 0 && (answered || b.have == b.claimed) {
			return nil, true, nil
		}
		if err == nil {
			err = ErrLeftOut
		}
		return nil, false, err
	}
	b.have += int64(len(piece))
	b.short, b.ended = int64(len(piece)) < want, 0
	if b.streak++; b.streak == grow {
		b.streak, b.size = 0, min(b.size*2, Most)
	}
	return piece, b.short && b.have == b.claimed, nil
}

// Broke makes the next part smaller after a session that ended in Next. It
// reports whether there is a part left to try.
func (b *Body) Broke() bool {
	if b.have == 0 { // the smallest part shows soonest whether any comes
		b.size = min(b.size, Least)
		b.ended++
		return b.ended < unseen
	}
	if b.size > Least {
		if b.size /= 4; b.streak > 0 {
			b.size *= 2
		}
		b.size, b.streak = max(b.size, Least), 0
		return true
	}
	b.ended++
	return b.ended < tries
}

// ask sends the command. answered: the item came, perhaps empty.
func (b *Body) ask(ctx context.Context, s *imap.Session, want int64) (out []byte, answered bool, err error) {
	var part []byte
	var read bool
	var take imap.FetchHandler
	take.Body = func(m *imap.Message, section string, size int64, body io.Reader) error {
		origin, partial := strings.CutPrefix(section, "<"+strconv.FormatInt(b.have, 10))
		partial = partial && (strings.HasPrefix(origin, ">") || strings.HasPrefix(origin, "."))
		if m.UID != 0 && m.UID != b.uid || read || !partial {
			return nil
		}
		if size > want {
			return fmt.Errorf("%w: %d octets of a message where %d were asked for", imap.ErrSyntax, size, want)
		}
		part = make([]byte, size)
		if _, err := io.ReadFull(body, part); err != nil {
			return fmt.Errorf("read part: %w", err)
		}
		read = true
		return nil
	}
	take.Fetch = func(m *imap.Message) error {
		if m.UID == b.uid && read && !answered {
			out, answered = part, true
		}
		part, read = nil, false
		return nil
	}
	err = s.UIDFetch(ctx, goimap.UIDSetNum(b.uid), []imap.Item{imap.ItemPart(b.have, want)}, take)
	return out, answered, err
}
