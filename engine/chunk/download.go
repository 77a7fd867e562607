package chunk

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/imap"
)

// ErrShort means that a message ended before its size.
var ErrShort = errors.New("what the server gives of the message is shorter than the size it says")

// Report is what a download brought.
type Report struct {
	Got     int64 // octets
	Claimed int64 // RFC822.SIZE; -1 if the server does not say
	SHA256  [sha256.Size]byte
	Whole   bool
	Why     error // what went wrong last; nil if nothing
}

// download is a download under way.
type download struct {
	Report
	uid       goimap.UID
	out       io.Writer
	body      *Body // nil: its size was not asked for yet
	asLiteral bool  // no part comes: it is asked for in one literal
}

// Open returns a live session whose mailbox is open. It is called before each
// command and replaces a session that has ended. want is how many octets the
// command may bring. why is what went wrong with the command before, or nil. An
// error ends the download.
type Open func(ctx context.Context, want int64, why error) (*imap.Session, error)

// Download writes to w what the server delivers of a message. It asks for
// parts. If none comes, it asks for one literal and takes as much as comes.
// What came before an error counts.
func Download(ctx context.Context, open Open, uid goimap.UID, w io.Writer) (Report, error) {
	sum := sha256.New()
	d := &download{Report: Report{Claimed: -1}, uid: uid, out: io.MultiWriter(w, sum)}
	err := d.run(ctx, open)
	sum.Sum(d.SHA256[:0])
	return d.Report, err
}

func (d *download) run(ctx context.Context, open Open) error {
	for {
		s, err := open(ctx, d.want(), d.Why)
		if err != nil {
			return err
		}
		more, err := d.step(ctx, s)
		if err != nil || !more {
			return err
		}
	}
}

func (d *download) want() int64 {
	switch {
	case d.body == nil:
		return 0
	case d.asLiteral:
		return max(d.Claimed, 0)
	}
	return d.body.Want()
}

// outputError is an error of w, not of the server.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

// step does the next thing on a session. more: another step follows. An error
// is w's or the context's.
func (d *download) step(ctx context.Context, s *imap.Session) (more bool, err error) {
	if d.asLiteral {
		return false, d.literal(ctx, s)
	}
	if d.body == nil {
		take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
			if m.Size >= 0 {
				d.Claimed = m.Size
			}
			return nil
		}}
		d.Why = s.UIDFetch(ctx, goimap.UIDSetNum(d.uid), []imap.Item{imap.ItemSize}, take)
		d.body = New(d.uid, d.Claimed)
		return true, ctx.Err()
	}
	piece, end, err := d.body.Next(ctx, s, d.body.Want())
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil && s.Err() != nil && d.body.Broke():
		d.Why = err
		return true, nil
	case err != nil && d.Got == 0 && s.Err() == nil:
		d.Why, d.asLiteral = err, true
		return true, nil
	case err != nil:
		d.Why = err
		return false, nil
	}
	if _, err := d.out.Write(piece); err != nil {
		return false, outputError{err}
	}
	d.Got += int64(len(piece))
	d.Why, d.Whole = nil, end
	d.checkSize()
	return !end, nil
}

// checkSize takes back that a message is whole if it is empty or shorter than
// its size.
func (d *download) checkSize() {
	if d.Whole && (d.Got < d.Claimed || d.Got == 0 && d.Claimed != 0) {
		d.Whole, d.Why = false, ErrShort
	}
}

// literal fetches the message in one literal.
func (d *download) literal(ctx context.Context, s *imap.Session) error {
	var whole bool
	take := imap.FetchHandler{
		Body: func(m *imap.Message, section string, _ int64, body io.Reader) error {
			if section != "" || d.Got > 0 || m.UID != 0 && m.UID != d.uid {
				return nil
			}
			n, err := io.Copy(writer{d.out}, body)
			d.Got, whole = n, err == nil
			return err
		},
		Fetch: func(m *imap.Message) error {
			d.Whole = d.Whole || whole && m.UID == d.uid && m.HasBody
			return nil
		},
	}
	err := s.UIDFetch(ctx, goimap.UIDSetNum(d.uid), []imap.Item{imap.ItemBody}, take)
	if broken := (outputError{}); errors.As(err, &broken) {
		return err
	}
	if err != nil {
		d.Why = err
	}
	if d.Whole {
		d.Why = nil
	}
	d.checkSize()
	return ctx.Err()
}

// writer marks the errors of w.
type writer struct{ io.Writer }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = outputError{err}
	}
	return n, err
}
