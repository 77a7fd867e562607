package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

// syncDir makes the names in a directory last. Windows has no such call and
// needs none.
func syncDir(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// pending is a file that is written and has neither its name nor is on the
// disk.
type pending struct{ temp, name string }

// write makes a file under the name temp. at is its time.
func write(root *os.Root, temp string, at time.Time, raw func(io.Writer) error) error {
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // a killed run left it
		return err
	}
	f, err := root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(raw(f), f.Close()); err == nil {
		err = root.Chtimes(temp, at, at)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// syncs is how many files are synced at once: the file system writes its
// journal once for all of them.
const syncs = 16

// settle brings files to the disk and then gives them their names, of which
// the last ones are in the directory dir.
func settle(root *os.Root, all []pending, dir string) error {
	errs := make([]error, len(all))
	turns := make(chan struct{}, syncs)
	var wg sync.WaitGroup
	for i, one := range all {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			errs[i] = syncFile(root, one.temp)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, one := range all {
		failpoint.Hit("export.beforeMove")
		if err := root.Rename(one.temp, one.name); err != nil {
			return err
		}
	}
	return syncDir(root, dir)
}

func syncFile(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// base is what tells a message of a mailbox from all others there, also in
// another run.
func base(b box, c storage.Copy) string { return fmt.Sprintf("V%dU%d", b.UIDValidity, c.UID) }

// emlSink is a mailbox as a directory of messages.
type emlSink struct {
	x       *exporter
	b       box
	written []pending
}

func (s *emlSink) begin() (storage.UID, error) { return 0, s.x.root.MkdirAll(s.b.name, 0o700) }

func (s *emlSink) name(c storage.Copy) string {
	return path.Join(s.b.name, c.InternalDate.UTC().Format("20060102T150405Z")+"."+base(s.b, c)+".eml")
}

func (s *emlSink) has(c storage.Copy) bool {
	info, err := s.x.root.Lstat(s.name(c))
	return err == nil && info.Mode().IsRegular()
}

func (s *emlSink) put(c storage.Copy, raw func(io.Writer) error) (bool, error) {
	if raw == nil {
		s.x.r.Missing++
		return false, nil
	}
	if _, err := s.x.root.Lstat(s.name(c)); err == nil {
		return false, fmt.Errorf("%s: %w", s.name(c), ErrInTheWay)
	}
	temp := path.Join(s.b.name, "."+base(s.b, c)+partialSuffix)
	if err := write(s.x.root, temp, c.InternalDate, raw); err != nil {
		return false, err
	}
	s.written = append(s.written, pending{temp, s.name(c)})
	return true, nil
}

func (s *emlSink) flush() error {
	all := s.written
	s.written = nil
	return settle(s.x.root, all, s.b.name)
}

func (s *emlSink) end() error {
	return errors.Join(s.flush(), syncDir(s.x.root, path.Dir(s.b.name)))
}

func (s *emlSink) damaged(storage.Copy) {} // it is tried again
func (s *emlSink) close() error         { return nil }

// maildirSink is a mailbox as a Maildir.
type maildirSink struct {
	x        *exporter
	b        box
	have     []uint64 // UIDVALIDITY and UID of what is there, sorted
	keywords []string // by letter
	lettered int      // of them, how many are in the file that says which letter is which
	written  []pending
}

const (
	maildirHost  = "mailcote" // in the place of a host's name
	keywordsName = "dovecot-keywords"
	mostKeywords = 26 // a to z
)

func (s *maildirSink) begin() (storage.UID, error) {
	root := s.x.root
	account, _, folder := strings.Cut(s.b.name, "/")
	for _, dir := range []string{account, s.b.name} { // an account is a Maildir, too
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := root.MkdirAll(path.Join(dir, sub), 0o700); err != nil {
				return 0, err
			}
		}
	}
	if folder { // the mark of one in a Maildir++
		mark, err := root.OpenFile(path.Join(s.b.name, "maildirfolder"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			err = mark.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
	}
	for _, sub := range []string{"cur", "new"} {
		if err := s.list(path.Join(s.b.name, sub), func(one fs.DirEntry) error {
			id, ok := identity(one.Name())
			if ok && !one.Type().IsRegular() {
				return fmt.Errorf("%s: %w", path.Join(s.b.name, sub, one.Name()), ErrInTheWay)
			}
			if ok {
				s.have = append(s.have, id)
			}
			return nil
		}); err != nil {
			return 0, err
		}
	}
	slices.Sort(s.have)
	if err := s.list(path.Join(s.b.name, "tmp"), func(one fs.DirEntry) error {
		if _, ok := identity(one.Name()); ok { // a killed run left it
			return root.Remove(path.Join(s.b.name, "tmp", one.Name()))
		}
		return nil
	}); err != nil {
		return 0, err
	}
	return 0, s.readKeywords()
}

// readKeywords reads which keywords have which letters.
func (s *maildirSink) readKeywords() error {
	name := path.Join(s.b.name, keywordsName)
	info, err := s.x.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() { // a pipe would never end
		err = fmt.Errorf("%s: %w", name, ErrInTheWay)
	}
	if err != nil {
		return err
	}
	text, err := s.x.root.ReadFile(name)
	for line := range strings.Lines(string(text)) {
		number, word, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= mostKeywords {
			continue
		}
		for len(s.keywords) <= n {
			s.keywords = append(s.keywords, "")
		}
		s.keywords[n] = word
	}
	s.lettered = len(s.keywords)
	return err
}

// list gives what is in a directory.
func (s *maildirSink) list(dir string, each func(one fs.DirEntry) error) error {
	d, err := s.x.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // it was only read
	for {
		all, err := d.ReadDir(1000)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, one := range all {
			if err := each(one); err != nil {
				return err
			}
		}
	}
}

// identity reads UIDVALIDITY and UID out of the name of a message.
func identity(name string) (id uint64, ok bool) {
	_, rest, _ := strings.Cut(name, ".V")
	validity, rest, _ := strings.Cut(rest, "U")
	uid, rest, _ := strings.Cut(rest, ".")
	v, err := strconv.ParseUint(validity, 10, 32)
	u, failed := strconv.ParseUint(uid, 10, 32)
	return v<<32 | u, err == nil && failed == nil && strings.HasPrefix(rest, maildirHost)
}

func (s *maildirSink) has(c storage.Copy) bool {
	_, found := slices.BinarySearch(s.have, uint64(s.b.UIDValidity)<<32|uint64(c.UID))
	return found
}

func (s *maildirSink) put(c storage.Copy, raw func(io.Writer) error) (bool, error) {
	if raw == nil {
		s.x.r.Missing++
		return false, nil
	}
	letters, dropped := s.letters(c.Flags)
	colon := ":"
	if runtime.GOOS == "windows" {
		colon = ";"
	}
	name := fmt.Sprintf("%d.%s.%s,S=%d", c.InternalDate.Unix(), base(s.b, c), maildirHost, c.RawSize)
	temp := path.Join(s.b.name, "tmp", name)
	if err := write(s.x.root, temp, c.InternalDate, raw); err != nil {
		return false, err
	}
	s.written = append(s.written, pending{temp, path.Join(s.b.name, "cur", name+colon+"2,"+letters)})
	if dropped {
		s.x.r.Dropped++
	}
	return true, nil
}

// letters are the flags in the name of a message. A keyword gets the next
// letter of its mailbox.
func (s *maildirSink) letters(flags storage.Flags) (letters string, dropped bool) {
	var all []byte
	for one := range strings.FieldsSeq(string(flags)) {
		switch one {
		case `\Draft`:
			all = append(all, 'D')
		case `\Flagged`:
			all = append(all, 'F')
		case `\Answered`:
			all = append(all, 'R')
		case `\Seen`:
			all = append(all, 'S')
		case `\Deleted`:
			all = append(all, 'T')
		default:
			if strings.EqualFold(one, "$Forwarded") {
				all = append(all, 'P')
			}
			n := slices.IndexFunc(s.keywords, func(k string) bool { return strings.EqualFold(k, one) })
			if n < 0 && len(s.keywords) < mostKeywords && one[0] != '\\' {
				n = len(s.keywords)
				s.keywords = append(s.keywords, one)
			}
			if n < 0 || n >= mostKeywords {
				dropped = true
				continue
			}
			all = append(all, byte('a'+n))
		}
	}
	slices.Sort(all)
	return string(all), dropped
}

// flush gives the messages their names. The file of the keywords is there
// before a message that needs it.
func (s *maildirSink) flush() error {
	all := s.written
	s.written = nil
	if len(s.keywords) > s.lettered {
		name := path.Join(s.b.name, keywordsName)
		if err := write(s.x.root, name+partialSuffix, time.Now(), s.writeKeywords); err != nil {
			return err
		}
		if err := settle(s.x.root, []pending{{name + partialSuffix, name}}, s.b.name); err != nil {
			return err
		}
		s.lettered = len(s.keywords)
	}
	return settle(s.x.root, all, path.Join(s.b.name, "cur"))
}

func (s *maildirSink) writeKeywords(w io.Writer) error {
	var text bytes.Buffer
	for i, one := range s.keywords {
		fmt.Fprintf(&text, "%d %s\n", i, one)
	}
	_, err := w.Write(text.Bytes())
	return err
}

func (s *maildirSink) end() error {
	return errors.Join(s.flush(), syncDir(s.x.root, s.b.name), syncDir(s.x.root, path.Dir(s.b.name)))
}

func (s *maildirSink) damaged(storage.Copy) {} // it is tried again
func (s *maildirSink) close() error         { return nil }
