package dovecot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/truth"
)

// Options of one delivery.
type Options struct {
	Flags []string  // system flags such as \Seen; none puts the message into new/, where it is \Recent
	Date  time.Time // INTERNALDATE; zero means now
	Harm  Harm      // what keeps the server from reading it
}

// Harm is what is wrong with the file of a message.
type Harm int

// The ways a file can be wrong.
const (
	Sound     Harm = iota
	Forbidden      // nobody may read it
	WrongSize      // its name tells another size than it has
	Dangling       // it is a symbolic link to nothing
)

// epoch begins the file names of deliveries. Dovecot gives UIDs in the order of
// the names, which must not depend on the clock.
const epoch = 1_700_000_000

// Deliver writes one message into a mailbox of a user, as a delivery agent
// would. It makes the mailbox where it is missing. A failure is fatal.
func (s *Server) Deliver(t testing.TB, user, mailbox string, raw []byte, options Options) {
	t.Helper()
	if err := s.Put(user, mailbox, raw, options); err != nil {
		t.Fatal(err)
	}
}

// Put is Deliver for callers outside tests. Safe for concurrent use.
func (s *Server) Put(user, mailbox string, raw []byte, options Options) error {
	letters, err := infoLetters(options.Flags)
	if err != nil {
		return fmt.Errorf("dovecot: deliver to %s: %w", mailbox, err)
	}
	dir, err := s.mailboxDir(user, mailbox)
	if err != nil {
		return fmt.Errorf("dovecot: deliver to %s: %w", mailbox, err)
	}
	n := s.delivered.Add(1)
	size := len(raw)
	if options.Harm == WrongSize {
		size += 1000
	}
	name := fmt.Sprintf("%d.M%06dP1.test,S=%d", epoch+n/1_000_000, n%1_000_000, size)
	tmp := filepath.Join(dir, "tmp", name)
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return fmt.Errorf("dovecot: deliver to %s: %w", mailbox, err)
	}
	if err := s.give(tmp); err != nil {
		return fmt.Errorf("dovecot: deliver to %s: %w", mailbox, err)
	}
	if err := options.Harm.do(tmp); err != nil {
		return fmt.Errorf("dovecot: deliver to %s: %w", mailbox, err)
	}
	if !options.Date.IsZero() {
		if err := os.Chtimes(tmp, options.Date, options.Date); err != nil {
			return fmt.Errorf("dovecot: deliver to %s: %w", mailbox, err)
		}
	}
	final := filepath.Join(dir, "new", name)
	if letters != "" {
		final = filepath.Join(dir, "cur", name+":2,"+letters)
	}
	// The server must never see a file that is half written.
	if err := os.Rename(tmp, final); err != nil {
		return fmt.Errorf("dovecot: deliver to %s: %w", mailbox, err)
	}
	return nil
}

// do harms a file.
func (h Harm) do(path string) error {
	switch h {
	case Forbidden:
		return os.Chmod(path, 0)
	case Dangling:
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Symlink("nothing", path)
	}
	return nil
}

// Renumber makes the server forget a mailbox's UIDs. The mailbox gets a new
// UIDVALIDITY; a message may get another UID or the same. Flags stay, keywords
// may not. No session may have the mailbox open.
func (s *Server) Renumber(user, mailbox string) error {
	return s.lose(user, mailbox, "dovecot-uidlist", "dovecot.index*")
}

// LoseIndex removes a mailbox's index. UIDVALIDITY and UIDs stay, and MODSEQs
// count anew from 1. No session may have the mailbox open.
func (s *Server) LoseIndex(user, mailbox string) error {
	return s.lose(user, mailbox, "dovecot.index*")
}

// lose removes the files of a mailbox that match patterns.
func (s *Server) lose(user, mailbox string, patterns ...string) error {
	dir, err := s.mailboxDir(user, mailbox)
	if err != nil {
		return fmt.Errorf("dovecot: files of %s: %w", mailbox, err)
	}
	for _, pattern := range patterns {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("dovecot: files of %s: %w", mailbox, err)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("dovecot: files of %s: %w", mailbox, err)
			}
		}
	}
	return nil
}

// mailboxDir gives the Maildir++ directory of a mailbox and makes it where it is missing.
func (s *Server) mailboxDir(user, mailbox string) (string, error) {
	if strings.ContainsRune(mailbox, '.') {
		return "", fmt.Errorf("a Maildir++ name cannot hold a dot")
	}
	root := filepath.Join(s.dir, "home", user, "Maildir")
	dir := root
	if !strings.EqualFold(mailbox, "INBOX") {
		dir = filepath.Join(root, "."+strings.ReplaceAll(truth.EncodeName(mailbox), "/", "."))
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		return dir, nil
	}
	made := []string{filepath.Dir(root), root, dir}
	for _, sub := range []string{"tmp", "cur", "new"} {
		made = append(made, filepath.Join(dir, sub))
	}
	for _, path := range made {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return "", err
		}
		if err := s.give(path); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// infoLetters turns system flags into the letters of a Maildir file name, in the order of the alphabet.
func infoLetters(flags []string) (string, error) {
	known := map[string]string{`\draft`: "D", `\flagged`: "F", `\answered`: "R", `\seen`: "S", `\deleted`: "T"}
	letters := make([]string, 0, len(flags))
	for _, flag := range flags {
		letter := known[strings.ToLower(flag)]
		if letter == "" {
			return "", fmt.Errorf("flag %s cannot be delivered; store it with truth.Client", flag)
		}
		letters = append(letters, letter)
	}
	sort.Strings(letters)
	return strings.Join(letters, ""), nil
}

// DamageMdbox overwrites the middle of some messages in the first mdbox file of
// a user. which counts from 0 in the order they were saved. Compressed mail
// cannot be read beyond that.
func (s *Server) DamageMdbox(user string, which ...int) error {
	const mark = "\x01\x02" // stands before each message
	name := filepath.Join(s.dir, "home", user, "mdbox", "storage", "m.1")
	raw, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("dovecot: damage %s: %w", name, err)
	}
	var starts []int
	for at := 0; ; {
		next := bytes.Index(raw[at:], []byte(mark+"N "))
		if next < 0 {
			break
		}
		starts, at = append(starts, at+next), at+next+len(mark)
	}
	starts = append(starts, len(raw))
	for _, i := range which {
		if i+1 >= len(starts) {
			return fmt.Errorf("dovecot: damage %s: it holds %d messages, not %d", name, len(starts)-1, i+1)
		}
		copy(raw[(starts[i]+starts[i+1])/2:], "no compressed data")
	}
	return os.WriteFile(name, raw, 0o600)
}

// Serve makes a copy of a directory a user's own: "Maildir" is the user's mail.
// The times of files stay. There must be no such directory yet.
func (s *Server) Serve(user, name, dir string) error {
	to := filepath.Join(s.dir, "home", user, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("dovecot: serve %s: %w", dir, err)
	}
	if err := s.give(filepath.Dir(to)); err != nil {
		return fmt.Errorf("dovecot: serve %s: %w", dir, err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		path, at := filepath.Join(to, rest), path
		if d.IsDir() {
			return errors.Join(os.Mkdir(path, 0o700), s.give(path))
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(path, text, 0o600), os.Chtimes(path, info.ModTime(), info.ModTime()),
			s.give(path))
	})
	if err != nil {
		return fmt.Errorf("dovecot: serve %s: %w", dir, err)
	}
	return nil
}
