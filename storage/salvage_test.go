package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailcote/storage/disk"
	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
	"mailcote/testkit/form"
)

// wreck is a closed store with a past, to be damaged.
type wreck struct {
	t     *testing.T
	path  string
	bytes []byte
	mail  string // what the view mail shows
}

const wreckMail = `SELECT coalesce(group_concat(line, char(10)), '')
	FROM (SELECT account || ' ' || mailbox || ' ' || uid || ' ' || sha256 || ' ' || flags AS line FROM mail
	ORDER BY line)`

func newWreck(t *testing.T) *wreck {
	t.Helper()
	w := &wreck{t: t, path: filepath.Join(t.TempDir(), "mail.db")}
	s, err := Open(t.Context(), w.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := bedOn(t, s)
	write(t, s, func(w *Writer) error { return w.SetSecretRef(b.account, "keyring:ada") })
	inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
	for from := 0; from < 300; from += 50 {
		var batch []Arrival
		for n := from; n < from+50; n++ {
			batch = append(batch, b.arrival(UID(n+1), n, []string{`\Seen`, "$Work"}[:n%3]...))
		}
		b.store(inbox, 7, batch...)
	}
	b.store(archive, 9, b.arrival(3, 3), b.arrival(4, 4), b.arrival(9, 1000))
	write(t, s, func(w *Writer) error { return w.Expunge(inbox, 7, []UID{10, 20, 30}) })
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "text"} })
	w.mail = text(t, s, wreckMail)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if w.bytes, err = os.ReadFile(w.path); err != nil {
		t.Fatal(err)
	}
	return w
}

// damaged gives a copy of the store with damage.
func (w *wreck) damaged(damage func(b []byte) []byte) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "mail.db")
	if err := os.WriteFile(path, damage(append([]byte(nil), w.bytes...)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// saved opens a damaged store, salvaging it, and wants it sound and holding nothing that was not there.
func (w *wreck) saved(path string, cause error) *Store {
	w.t.Helper()
	s := openAt(w.t, path, Options{Salvage: &Salvage{Parse: parseRaw, Cause: cause}})
	if s.Salvaged() == nil {
		w.t.Fatal("nothing was salvaged")
	}
	if found := checkAll(w.t, s); len(found) > 0 {
		w.t.Errorf("what was saved is not sound: %v", found)
	}
	lines := strings.Count(w.mail, "\n") + 1
	had := map[string]bool{}
	for line := range strings.Lines(w.mail + "\n") {
		had[strings.TrimSpace(line)] = true
	}
	kept := 0
	for line := range strings.Lines(text(w.t, s, wreckMail)) {
		if kept++; !had[strings.TrimSpace(line)] {
			w.t.Errorf("this was not in the store: %s", line)
		}
	}
	r := s.Salvaged()
	if r.Accounts != 1 || r.Messages != int64(kept) || r.Messages+r.Missing < int64(lines) && r.Mailboxes == 2 {
		w.t.Errorf("%+v, and %d of %d messages are here", *r, kept, lines)
	}
	if n := number(w.t, s, `SELECT count(*) FROM account WHERE user = 'ada' AND host = 'localhost'
		AND secret_ref = 'keyring:ada'`); n != 1 {
		w.t.Error("the account was lost")
	}
	if n := number(w.t, s, `SELECT count(*) FROM mailbox WHERE pass_at IS NOT NULL OR modseq > 0`); n != 0 {
		w.t.Error("a mailbox would not be looked at again")
	}
	return s
}

// page gives the pages whose bytes hold a text, by number from 0.
func (w *wreck) page(sign string) int {
	w.t.Helper()
	at := strings.Index(string(w.bytes[schema.PageSize:]), sign)
	if at < 0 {
		w.t.Fatalf("no page holds %q", sign)
	}
	return at/schema.PageSize + 1
}

func TestSalvage(t *testing.T) {
	w := newWreck(t)
	zero := func(page int) func(b []byte) []byte {
		return func(b []byte) []byte { clear(b[page*schema.PageSize : (page+1)*schema.PageSize]); return b }
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"magic":          func(b []byte) []byte { b[3] ^= 4; return b },
		"page size":      func(b []byte) []byte { b[16] ^= 1; return b },
		"application id": func(b []byte) []byte { b[68] ^= 1; return b },
		"schema version": func(b []byte) []byte { binary.BigEndian.PutUint32(b[60:], 0); return b },
		"truncated":      func(b []byte) []byte { return b[:len(b)*3/5] },
	} {
		t.Run(name, func(t *testing.T) {
			w := &wreck{t, w.path, w.bytes, w.mail}
			path := w.damaged(damage)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if s, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("opened without leave to salvage: %v", err)
				if err == nil {
					s.Close()
				}
			}
			s := w.saved(path, nil)
			if aside, err := os.ReadFile(s.Salvaged().Aside); err != nil || string(aside) != string(before) {
				t.Errorf("the copy is not what was found: %v", err)
			}
			if info, err := os.Stat(s.Salvaged().Aside); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			t.Logf("%+v", *s.Salvaged())
		})
	}
	for name, sign := range map[string]string{"an email's page": "<200@example.org>",
		"a page of the schema": "CREATE TABLE entry", "an account's page": "keyring:ada"} {
		t.Run(name, func(t *testing.T) {
			w := &wreck{t, w.path, w.bytes, w.mail}
			path := w.damaged(zero(w.page(sign)))
			// without any account there is nothing to go on from, and the store stays as it is
			if sign == "keyring:ada" {
				_, err := Open(t.Context(), path, Options{Salvage: &Salvage{Parse: parseRaw, Cause: ErrCorrupt}})
				if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "no account") {
					t.Errorf("%v", err)
				}
				left, err := filepath.Glob(path + ".[cs]*")
				if err != nil || len(left) > 0 {
					t.Errorf("left: %v, %v", left, err)
				}
				return
			}
			t.Logf("%+v", *w.saved(path, ErrCorrupt).Salvaged())
		})
	}
}

// Whatever page is damaged, in whatever way: the accounts' apart, what is saved is sound and true.
func TestSalvageAnyPage(t *testing.T) {
	w := newWreck(t)
	pages := len(w.bytes) / schema.PageSize
	account := w.page("keyring:ada")
	random := rand.New(rand.NewPCG(3, 3))
	kinds := []func(page []byte){
		func(page []byte) { clear(page) },
		func(page []byte) {
			for i := range page {
				page[i] = byte(random.Uint32())
			}
		},
		func(page []byte) { page[random.IntN(len(page))] ^= 1 << random.IntN(8) },
		func(page []byte) { copy(page, w.bytes[random.IntN(pages)*schema.PageSize:][:schema.PageSize]) },
	}
	rounds := 8
	if form.Long() {
		rounds = 20 * pages
	}
	for n := range rounds {
		page := random.IntN(pages)
		if n < pages && rounds > pages { // each at least once
			page = n
		}
		if page == account {
			continue
		}
		t.Run(fmt.Sprintf("%d/%d", page, n%len(kinds)), func(t *testing.T) {
			w := &wreck{t, w.path, w.bytes, w.mail}
			path := w.damaged(func(b []byte) []byte {
				kinds[n%len(kinds)](b[page*schema.PageSize:][:schema.PageSize])
				return b
			})
			s := w.saved(path, ErrCorrupt)
			t.Logf("%+v", *s.Salvaged())
		})
	}
}

// A log that belongs to another store is not played, and kept beside the copy.
func TestForeignLog(t *testing.T) {
	w := newWreck(t)
	other := openTest(t)
	write(t, other, func(w *Writer) error {
		_, err := w.AddAccount(Account{Name: "eve", User: "eve", Host: "localhost", Port: 143, Security: "plain"})
		return err
	})
	log, err := os.ReadFile(other.Path() + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	path := w.damaged(func(b []byte) []byte { return b })
	if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrCorrupt) ||
		!strings.Contains(err.Error(), "another store") {
		t.Errorf("%v", err)
	}
	s := w.saved(path, nil)
	if text(t, s, wreckMail) != w.mail {
		t.Error("mail was lost")
	}
	if kept, err := os.ReadFile(s.Salvaged().Aside + "-wal"); err != nil || string(kept) != string(log) {
		t.Errorf("the log was not kept: %v", err)
	}
}

// A store whose file was emptied is saved from its log.
func TestEmptiedFile(t *testing.T) {
	s := openTest(t)
	b := bedOn(t, s)
	b.store(b.mailbox("INBOX", 7), 7, b.arrival(1, 1))
	path := filepath.Join(t.TempDir(), "mail.db")
	log, err := os.ReadFile(s.Path() + "-wal")
	if err := errors.Join(err, os.WriteFile(path, nil, 0o600), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
	saved := openAt(t, path, Options{Salvage: &Salvage{Parse: parseRaw}})
	if n := number(t, saved, `SELECT count(*) FROM mail`); n != 1 {
		t.Errorf("%d messages saved", n)
	}
}

// Damage found while the store is open ends what runs on it, and is said to everybody.
func TestDamageUnderWay(t *testing.T) {
	w := newWreck(t)
	page := w.page("<200@example.org>")
	path := w.damaged(func(b []byte) []byte { clear(b[page*schema.PageSize : (page+1)*schema.PageSize]); return b })
	s := openAt(t, path, Options{})
	while, stop := s.While(t.Context())
	defer stop()
	err := s.Read(t.Context(), func(r *Reader) error {
		var n int
		return r.snap.QueryRow(`SELECT sum(length(subject)) FROM email NOT INDEXED`).Scan(&n)
	})
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("the read said %v", err)
	}
	<-while.Done()
	late, stop := s.While(t.Context())
	defer stop()
	<-late.Done()
}

// SalvageInto reads the store and makes another.
func TestSalvageInto(t *testing.T) {
	w := newWreck(t)
	page := w.page("<200@example.org>")
	path := w.damaged(func(b []byte) []byte { clear(b[page*schema.PageSize : (page+1)*schema.PageSize]); return b })
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.db")
	r, err := SalvageInto(t.Context(), path, out, Salvage{Parse: parseRaw})
	if err != nil || r.Messages == 0 || r.Aside != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the store was touched: %v", err)
	}
	if found := checkAll(t, openAt(t, out, Options{})); len(found) > 0 {
		t.Errorf("%v", found)
	}
	if _, err := SalvageInto(t.Context(), path, out, Salvage{Parse: parseRaw}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that exists: %v", err)
	}
	left, err := filepath.Glob(out + ".*")
	if err != nil || len(left) > 2 { // lock and owner
		t.Errorf("left: %v, %v", left, err)
	}
}

// The room that salvaging asks for is what it takes: twice the store's size, or three times where the file must
// be made readable.
func TestSalvageRoom(t *testing.T) {
	w := newWreck(t)
	page := w.page("<200@example.org>")
	size := int64(len(w.bytes))
	damages := map[string]func(b []byte) []byte{
		"a page":    func(b []byte) []byte { clear(b[page*schema.PageSize : (page+1)*schema.PageSize]); return b },
		"the head":  func(b []byte) []byte { b[3] ^= 4; return b },
		"its words": func(b []byte) []byte { clear(b[100:schema.PageSize]); return b },
	}
	for _, c := range []struct {
		damage string
		tenths int64
		fits   bool
	}{
		{"a page", 19, false}, {"a page", 21, true},
		{"the head", 29, false}, {"the head", 40, true}, // a new store's tables count beside so small a one
		{"its words", 29, false}, {"its words", 40, true},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.damage, c.tenths), func(t *testing.T) {
			path := w.damaged(damages[c.damage])
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			l := file.StandardLimits()
			l.Space = func(dir string) (disk.Space, error) { // a disk with room for so much beside the store
				free := c.tenths * size / 10
				all, err := os.ReadDir(dir)
				for _, one := range all {
					if info, err := one.Info(); err == nil && one.Name() != "mail.db" {
						free -= info.Size()
					}
				}
				return disk.Space{Free: free, Size: 1 << 40}, err
			}
			s, err := Open(t.Context(), path, Options{limits: &l,
				Salvage: &Salvage{Parse: parseRaw, Cause: ErrCorrupt}})
			if err == nil {
				err = s.Close()
			}
			if c.fits {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrFull) || !errors.Is(err, ErrCorrupt) ||
				!strings.Contains(err.Error(), "MB are free") {
				t.Errorf("told %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the store was touched: %v", err)
			}
			if left, err := filepath.Glob(path + ".[cs]*"); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}
