package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"mailcote/storage"
	"mailcote/storage/disk"
	"mailcote/storage/query"
)

// Format is what files an export writes.
type Format string

// The formats.
const (
	Mbox    Format = "mbox"
	Maildir Format = "maildir"
	EML     Format = "eml"
	JSONL   Format = "jsonl"
)

// Formats are all of them.
func Formats() []Format { return []Format{Mbox, Maildir, EML, JSONL} }

// Options say what is exported and where to.
type Options struct {
	Format  Format
	Dir     string            // made when it is missing
	Account storage.AccountID // 0: all
	Query   *query.Query      // nil: all mail
	Text    string            // the query as it was typed; with Format and Account it tells exports apart
	// Emails are the only ones to export, every copy of each; nil: all that
	// Account and Query leave.
	Emails []storage.EmailRow
	// Progress is told how many of how many messages were looked at; nil:
	// nobody asks.
	Progress func(done, total int64)
}

// Result says what an export did.
type Result struct {
	Accounts  int
	Mailboxes int
	Written   int64 // messages, this time
	Already   int64 // messages that an earlier run had written
	Bytes     int64 // of the messages written this time
	Missing   int64 // messages whose body is not fetched
	Later     int64 // messages that came after their mailbox's file was finished
	Dropped   int64 // messages that lost a keyword: a Maildir has room for 26
	Damaged   []Damage
	Unread    int64 // messages that an earlier run found damaged, and went past in their mailbox's file
}

// Whole reports whether every message is in the export.
func (r Result) Whole() bool {
	return r.Missing == 0 && r.Later == 0 && len(r.Damaged) == 0 && r.Unread == 0
}

// Damage is a message that the store cannot read.
type Damage struct {
	Account, Mailbox string
	UID              storage.UID
	Err              error
}

// box is a mailbox on its way.
type box struct {
	storage.Mailbox
	account string // its name
	name    string // of its file or directory below the root
}

// exporter is one run.
type exporter struct {
	Options
	store   *storage.Store
	root    *os.Root
	journal *journal
	emails  []storage.EmailRow // that match, sorted; nil: all
	r       *Result
	done    int64
	total   int64
}

// Run exports. What an earlier run of the same export has written stays. It
// reads in short snapshots, so it may run beside an owner that writes.
//
// Errors: ErrOccupied, ErrOther, ErrBusy, what the file system says, what
// reading the store says, or ctx's. A message that cannot be read is no error:
// see Result.
func Run(ctx context.Context, store *storage.Store, o Options) (r Result, err error) {
	defer func() { err = full(err) }()
	x := &exporter{Options: o, store: store, r: &r}
	boxes, want, err := x.plan(ctx)
	if err != nil {
		return r, fmt.Errorf("export: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return r, fmt.Errorf("export: %w", err)
	}
	if x.root, err = os.OpenRoot(o.Dir); err != nil {
		return r, fmt.Errorf("export: %w", err)
	}
	defer func() { err = errors.Join(err, x.root.Close()) }()
	if x.journal, err = openJournal(x.root, o.Dir, want); err != nil {
		return r, fmt.Errorf("export into %s: %w", o.Dir, err)
	}
	defer func() { err = errors.Join(err, x.journal.close()) }()
	for _, b := range boxes {
		if err := x.mailbox(ctx, b); err != nil {
			return r, fmt.Errorf("export %s of %s: %w", b.Path, b.account, err)
		}
	}
	return r, syncDir(x.root, ".")
}

// full marks an error of a disk that has no room.
func full(err error) error {
	if disk.Full(err) {
		return fmt.Errorf("%w: %w", storage.ErrFull, err)
	}
	return err
}

// plan lists the mailboxes with their names, and finds what matches.
func (x *exporter) plan(ctx context.Context) (boxes []box, want kind, err error) {
	want = kind{Version: 1, Format: x.Format, Query: x.Text, Emails: rowList(x.Emails)}
	err = x.store.Read(ctx, func(r *storage.Reader) error {
		boxes, x.total = nil, 0
		var err error
		if want.Store, err = r.StoreID(); err != nil {
			return err
		}
		accounts, err := r.Accounts()
		if err != nil {
			return err
		}
		slices.SortFunc(accounts, func(a, b storage.Account) int { return int(a.ID - b.ID) })
		var names []named
		for _, one := range accounts {
			names = append(names, named{raw: one.Name, path: one.Name})
		}
		dirs := fileNames(names) // of all, so that a choice of one does not change its name
		for i, one := range accounts {
			if x.Account != 0 && one.ID != x.Account {
				continue
			}
			if x.Account != 0 {
				want.Account = one.Name
			}
			x.r.Accounts++
			more, err := x.boxes(r, one, dirs[i])
			if err != nil {
				return err
			}
			boxes = append(boxes, more...)
		}
		var in []storage.MailboxID
		switch {
		case x.Emails != nil:
			x.emails = slices.Clone(x.Emails)
			in, err = mailboxesOf(r, x.Emails)
		case x.Query != nil:
			x.emails, in, err = r.FoundEmails(*x.Query, x.Account)
		default:
			return nil
		}
		boxes = slices.DeleteFunc(boxes, func(b box) bool {
			left := in != nil && !slices.Contains(in, b.ID)
			if left {
				x.total -= b.Total
			}
			return left
		})
		slices.Sort(x.emails)
		if x.emails == nil {
			x.emails = []storage.EmailRow{}
		}
		return err
	})
	return boxes, want, err
}

// mailboxesOf gives the mailboxes that have a copy of one of some emails.
func mailboxesOf(r *storage.Reader, emails []storage.EmailRow) ([]storage.MailboxID, error) {
	in := []storage.MailboxID{}
	for _, row := range emails {
		copies, err := r.MailOf(row)
		if err != nil {
			return nil, err
		}
		for _, c := range copies {
			in = append(in, c.Mailbox)
		}
	}
	return in, nil
}

// rowList writes emails such that the same ones give the same text. An id may
// change between two runs of an export; a row key does not.
func rowList(emails []storage.EmailRow) string {
	var all []string
	for _, row := range slices.Compact(slices.Sorted(slices.Values(emails))) {
		all = append(all, strconv.FormatInt(int64(row), 10))
	}
	return strings.Join(all, " ")
}

// boxes lists the mailboxes of an account, the oldest first.
func (x *exporter) boxes(r *storage.Reader, of storage.Account, dir string) (boxes []box, err error) {
	all, err := r.Mailboxes(of.ID)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b storage.Mailbox) int { return int(a.ID - b.ID) })
	var wanted []named
	for _, m := range all {
		wanted = append(wanted, named{raw: m.Raw, path: m.Path, delimiter: m.Delimiter})
	}
	var names []string
	switch x.Format {
	case Maildir:
		names = maildirNames(wanted)
	default:
		names = fileNames(wanted)
	}
	for i, m := range all {
		if !m.Selectable && m.Total == 0 {
			continue
		}
		b := box{Mailbox: m, account: of.Name, name: path.Join(dir, names[i])}
		if x.Format == Mbox || x.Format == JSONL {
			b.name += "." + string(x.Format)
		}
		boxes = append(boxes, b)
		x.total += m.Total
	}
	return boxes, nil
}

// sink makes the sink of a mailbox.
func (x *exporter) sink(b box) sink {
	switch x.Format {
	case Maildir:
		return &maildirSink{x: x, b: b}
	case EML:
		return &emlSink{x: x, b: b}
	}
	return &fileSink{x: x, b: b}
}
