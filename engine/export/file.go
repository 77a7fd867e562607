package export

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

// ErrInTheWay says that a file has the name of one that is to be made.
var ErrInTheWay = errors.New("something else is there")

const (
	partialSuffix = ".partial" // of a file that is not whole
	bufferSize    = 256 << 10
)

// fileSink is a mailbox in one file. The file grows under another name. The
// journal says how much of it is whole and on the disk; what is behind that
// goes when the export goes on.
type fileSink struct {
	x     *exporter
	b     box
	file  *os.File // nil: the mailbox was finished before
	out   *bufio.Writer
	state state
	moved bool // something was put since the journal was written
}

func (s *fileSink) partial() string { return s.b.name + partialSuffix }

func (s *fileSink) begin() (after storage.UID, err error) {
	root := s.x.root
	if err := root.MkdirAll(path.Dir(s.b.name), 0o700); err != nil {
		return 0, err
	}
	s.state = s.x.journal.states[s.b.name]
	_, err = root.Lstat(s.b.name)
	switch {
	case err == nil && s.state.Done:
		s.count()
		return s.state.UID, nil
	case err == nil:
		return 0, fmt.Errorf("%s: %w", s.b.name, ErrInTheWay)
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	if info, err := root.Lstat(s.partial()); err == nil && !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%s: %w", s.partial(), ErrInTheWay)
	} else if err == nil && info.Size() >= s.state.Offset && s.state.Validity == s.b.UIDValidity {
		s.count()
	} else { // nothing of it can be used
		s.state = state{File: s.b.name, Validity: s.b.UIDValidity}
	}
	if s.file, err = root.OpenFile(s.partial(), os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return 0, err
	}
	s.state.Done = false
	s.out = bufio.NewWriterSize(s.file, bufferSize)
	return s.state.UID, s.back()
}

// count adds what an earlier run has done.
func (s *fileSink) count() {
	s.x.r.Already += s.state.Messages
	s.x.r.Missing += s.state.Missing
	s.x.r.Unread += s.state.Damaged
}

// back cuts the file to what is whole.
func (s *fileSink) back() error {
	s.out.Reset(s.file)
	if err := s.file.Truncate(s.state.Offset); err != nil {
		return err
	}
	_, err := s.file.Seek(s.state.Offset, io.SeekStart)
	return err
}

func (s *fileSink) has(storage.Copy) bool { return false }

func (s *fileSink) put(c storage.Copy, raw func(io.Writer) error) (bool, error) {
	if s.file == nil {
		s.x.r.Later++
		return false, nil
	}
	if raw == nil {
		s.x.r.Missing++
		s.state.Missing++
		if s.x.Format == Mbox {
			s.state.UID, s.moved = c.UID, true
			return false, nil
		}
	}
	n := &counter{w: s.out}
	out := bufio.NewWriter(n)
	err := s.write(out, c, raw)
	if err == nil {
		err = out.Flush()
	}
	if unread := (*readError)(nil); errors.As(err, &unread) { // what came of it goes again
		if failed := errors.Join(s.out.Flush(), s.back()); failed != nil {
			return false, failed
		}
		return false, err
	}
	if err != nil {
		return false, err
	}
	s.state.UID, s.moved = c.UID, true
	s.state.Offset += n.n
	if raw == nil {
		return false, nil
	}
	s.state.Messages++
	return true, nil
}

func (s *fileSink) damaged(c storage.Copy) {
	s.state.UID, s.moved = c.UID, true
	s.state.Damaged++
}

func (s *fileSink) write(out *bufio.Writer, c storage.Copy, raw func(io.Writer) error) error {
	if s.x.Format == JSONL {
		return writeObject(out, s.b, c, raw)
	}
	if _, err := out.WriteString(mboxHead(c)); err != nil {
		return err
	}
	q := &quoter{w: out}
	if err := raw(q); err != nil {
		return err
	}
	return q.Close()
}

func (s *fileSink) flush() error {
	if s.file == nil || !s.moved {
		return nil
	}
	if err := s.sync(); err != nil {
		return err
	}
	s.moved = false
	return s.x.journal.append(s.state)
}

func (s *fileSink) sync() error {
	err := errors.Join(s.out.Flush(), s.file.Sync())
	failpoint.Hit("export.synced")
	return err
}

func (s *fileSink) end() error {
	if s.file == nil {
		return nil
	}
	if err := s.sync(); err != nil {
		return err
	}
	s.state.Done = true
	if err := s.x.journal.append(s.state); err != nil {
		return err
	}
	failpoint.Hit("export.beforeName")
	if err := s.x.root.Rename(s.partial(), s.b.name); err != nil {
		return err
	}
	return syncDir(s.x.root, path.Dir(s.b.name))
}

func (s *fileSink) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// object is a message in a JSON Lines file, apart from its bytes. Its names are
// those of the view mail where that has them (docs/sql.md).
type object struct {
	Type       string              `json:"type"` // message
	ID         string              `json:"id"`
	ThreadID   string              `json:"thread_id"`
	Account    string              `json:"account"`
	Mailbox    string              `json:"mailbox"`
	Validity   storage.UIDValidity `json:"uidvalidity"`
	UID        storage.UID         `json:"uid"`
	MessageID  string              `json:"message_id"`
	Date       string              `json:"date"`      // INTERNALDATE
	SentDate   *string             `json:"sent_date"` // null: unknown
	Sender     string              `json:"sender"`
	Recipients string              `json:"recipients"`
	Subject    string              `json:"subject"`
	Flags      []string            `json:"flags"`
	Size       int64               `json:"size"`
	SHA256     *string             `json:"sha256"` // null: the body is not here
	HasBody    bool                `json:"has_body"`
}

// writeObject writes a message as one line. Its bytes come last, so that a
// large one need not be in memory.
func writeObject(out *bufio.Writer, b box, c storage.Copy, raw func(io.Writer) error) error {
	o := object{Type: "message", ID: string(c.ID), ThreadID: c.Thread, Account: b.account, Mailbox: b.Path,
		Validity: b.UIDValidity, UID: c.UID, MessageID: c.MessageID, Date: c.InternalDate.UTC().Format(time.RFC3339),
		Sender: c.Sender, Recipients: c.Recipients, Subject: c.Subject, Flags: []string{}, Size: c.Size,
		HasBody: raw != nil}
	o.Flags = append(o.Flags, strings.Fields(string(c.Flags))...)
	if !c.SentAt.IsZero() {
		at := c.SentAt.UTC().Format(time.RFC3339)
		o.SentDate = &at
	}
	if raw != nil {
		sum := hex.EncodeToString(c.SHA256[:])
		o.SHA256, o.Size = &sum, c.RawSize
	}
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	out.Write(line[:len(line)-1]) //nolint:errcheck // out keeps the error
	if raw == nil {
		_, err := out.WriteString(`,"raw":null}` + "\n")
		return err
	}
	out.WriteString(`,"raw":"`) //nolint:errcheck // out keeps the error
	enc := base64.NewEncoder(base64.StdEncoding, out)
	if err := raw(enc); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	_, err = out.WriteString("\"}\n")
	return err
}
