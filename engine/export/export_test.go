package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/storage"
	"mailcote/storage/query"
	"mailcote/testkit/form"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a store and what it holds.
type bed struct {
	*storage.Store
	t       *testing.T
	path    string
	packer  *storage.Packer
	account map[string]storage.AccountID
	uids    map[storage.MailboxID]storage.UID
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, path: filepath.Join(t.TempDir(), "mail.db"), account: map[string]storage.AccountID{},
		uids: map[storage.MailboxID]storage.UID{}}
	var err error
	if b.packer, err = storage.NewPacker(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.packer.Close() })
	b.open()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *bed) open() {
	b.t.Helper()
	var err error
	if b.Store, err = storage.Open(b.t.Context(), b.path, storage.Options{Holder: "test"}); err != nil {
		b.t.Fatal(err)
	}
}

// alter changes rows as no verb of the store would.
func (b *bed) alter(statement string) {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = db.ExecContext(b.t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

func (b *bed) write(fn func(w *storage.Writer) error) {
	b.t.Helper()
	if err := b.Write(context.Background(), storage.Interactive, 0, fn); err != nil {
		b.t.Fatal(err)
	}
}

// mailbox makes a mailbox, and its account where that is missing.
func (b *bed) mailbox(account, raw string) (id storage.MailboxID) {
	b.t.Helper()
	b.write(func(w *storage.Writer) (err error) {
		id, err = b.mailboxIn(w, account, raw)
		return err
	})
	return id
}

func (b *bed) mailboxIn(w *storage.Writer, account, raw string) (id storage.MailboxID, err error) {
	if b.account[account] == 0 {
		if b.account[account], err = w.AddAccount(storage.Account{Name: account, User: account, Host: "example.org",
			Port: 993, Security: "tls"}); err != nil {
			return 0, err
		}
	}
	if id, err = w.PutMailbox(storage.Mailbox{Account: b.account[account], Raw: raw, Path: raw, Delimiter: "/",
		Selectable: true, Priority: 5}); err != nil {
		return 0, err
	}
	return id, w.OpenGeneration(id, 7, 1, 0)
}

// add stores messages.
func (b *bed) add(box storage.MailboxID, flags string, messages ...[]byte) {
	b.t.Helper()
	b.write(func(w *storage.Writer) error { return b.addIn(w, box, flags, messages...) })
}

func (b *bed) addIn(w *storage.Writer, box storage.MailboxID, flags string, messages ...[]byte) error {
	batch := storage.Batch{Mailbox: box, Validity: 7}
	for _, raw := range messages {
		b.uids[box]++
		uid := b.uids[box]
		id := fmt.Sprintf("<%d.%d@example.org>", box, uid)
		batch.Arrivals = append(batch.Arrivals, storage.Arrival{UID: uid,
			Flags:        storage.NewFlags(strings.Fields(flags)),
			InternalDate: time.Unix(1_700_000_000+int64(uid)*3607, 0), Body: b.packer.Pack(raw),
			Header: storage.Header{MessageID: id, ThreadKeys: []string{id}, Subject: "s", BaseSubject: "s",
				Sender: "Ada <ada@example.org>", SentAt: time.Unix(1_600_000_000, 0)}})
		batch.Cover = append(batch.Cover, storage.Range{Lo: uid, Hi: uid})
	}
	_, err := w.StoreBatch(batch)
	return err
}

func (b *bed) export(o Options) Result {
	b.t.Helper()
	r, err := Run(b.t.Context(), b.Store, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// sums are the digests of messages, sorted.
func sums(messages [][]byte) []string {
	var all []string
	for _, one := range messages {
		sum := sha256.Sum256(one)
		all = append(all, hex.EncodeToString(sum[:8]))
	}
	slices.Sort(all)
	return all
}

// tree reads all files of a directory, by path.
func tree(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// read gives the messages that an export holds, whatever its format.
func read(t testing.TB, format Format, dir string) (messages [][]byte) {
	t.Helper()
	for name, text := range tree(t, dir) {
		switch base := filepath.Base(name); {
		case base == journalName || base == "maildirfolder" || base == keywordsName:
		case strings.HasSuffix(name, partialSuffix), format == Maildir && strings.Contains(name, "/tmp/"):
			t.Errorf("%s is left", name)
		case format == Mbox:
			all, _ := unmbox(t, text)
			messages = append(messages, all...)
		case format == JSONL:
			for line := range bytes.Lines(text) {
				var one struct {
					SHA256 *string `json:"sha256"`
					Raw    *string `json:"raw"`
				}
				if err := json.Unmarshal(line, &one); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if one.Raw == nil {
					continue
				}
				raw, err := base64.StdEncoding.DecodeString(*one.Raw)
				if sum := sha256.Sum256(raw); err != nil || hex.EncodeToString(sum[:]) != *one.SHA256 {
					t.Errorf("%s: %v, digest %s", name, err, *one.SHA256)
				}
				messages = append(messages, raw)
			}
		default:
			messages = append(messages, text)
		}
	}
	return messages
}

func same(t testing.TB, what string, got, want [][]byte) {
	t.Helper()
	if !slices.Equal(sums(got), sums(want)) {
		t.Errorf("%s: %d messages, want %d, or others", what, len(got), len(want))
	}
}

// TestEveryFormat exports awkward messages of two accounts. Each comes back to the byte, with what is known of it.
func TestEveryFormat(t *testing.T) {
	b := newBed(t)
	all := awkward()
	large := bytes.Repeat([]byte("From a line that is to be quoted\r\n"), 200_000) // above what is read at once
	b.add(b.mailbox("ada", "INBOX"), `\Seen Work $Forwarded`, all...)
	b.add(b.mailbox("ada", "Archive/2026"), `\Answered \Flagged`, all[3:6]...)
	b.mailbox("ada", "Empty")
	b.add(b.mailbox("bob", "INBOX"), ``, all[0], large)
	want := slices.Concat(all, all[3:6], [][]byte{all[0], large})
	for _, format := range Formats() {
		dir := filepath.Join(t.TempDir(), "out")
		r := b.export(Options{Format: format, Dir: dir})
		if r.Written != int64(len(want)) || !r.Whole() || r.Mailboxes != 4 || r.Accounts != 2 || r.Already != 0 {
			t.Errorf("%s: %+v", format, r)
		}
		same(t, string(format), read(t, format, dir), want)
		for name := range tree(t, dir) {
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
			if strings.Contains(name, "V7U1.") && !info.ModTime().Equal(time.Unix(1_700_003_607, 0)) {
				t.Errorf("%s is of %v", name, info.ModTime())
			}
		}
		// Again: nothing is done twice.
		before := tree(t, dir)
		r = b.export(Options{Format: format, Dir: dir})
		if r.Written != 0 || r.Already != int64(len(want)) || !r.Whole() {
			t.Errorf("%s again: %+v", format, r)
		}
		if after := tree(t, dir); !maps.EqualFunc(before, after, bytes.Equal) {
			t.Errorf("%s again: it changed", format)
		}
	}
}

func names(t testing.TB, dir string) string {
	t.Helper()
	all := slices.Sorted(maps.Keys(tree(t, dir)))
	return strings.Join(all, " ")
}

// TestMaildirNames looks at the names of a Maildir, in which the flags are.
func TestMaildirNames(t *testing.T) {
	b := newBed(t)
	inbox := b.mailbox("ada", "INBOX")
	b.add(inbox, `\Seen \Flagged Zebra`, []byte("1"))
	b.add(inbox, `\Draft \Deleted \Answered $Forwarded Zebra`, []byte("22"))
	b.add(b.mailbox("ada", "Bücher/Neu"), ``, []byte("333"))
	dir := t.TempDir()
	b.export(Options{Format: Maildir, Dir: dir})
	want := ".mailcote-export ada/.B&APw-cher.Neu/cur/1700003607.V7U1.mailcote,S=3:2, " +
		"ada/.B&APw-cher.Neu/maildirfolder " +
		"ada/cur/1700003607.V7U1.mailcote,S=1:2,FSa ada/cur/1700007214.V7U2.mailcote,S=2:2,DPRTab ada/dovecot-keywords"
	if got := names(t, dir); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "ada", keywordsName)); err != nil ||
		string(text) != "0 Zebra\n1 $Forwarded\n" {
		t.Errorf("%q, %v", text, err)
	}
	mark := filepath.Join(dir, "ada", ".B&APw-cher.Neu", "maildirfolder")
	if err := os.WriteFile(mark, []byte("another program's"), 0o600); err != nil {
		t.Fatal(err)
	}
	// More keywords than letters. Those that have one keep it in the next run.
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("K%d", i))
	}
	b.add(inbox, strings.Join(many, " "), []byte("4444"))
	b.add(inbox, "Zebra", []byte("55555"))
	if r := b.export(Options{Format: Maildir, Dir: dir}); r.Dropped != 1 || r.Written != 2 || r.Already != 3 {
		t.Errorf("%+v", r)
	}
	if text, err := os.ReadFile(mark); err != nil || string(text) != "another program's" {
		t.Errorf("what was there is %q now, %v", text, err)
	}
	if got := names(t, dir); !strings.Contains(got, "S=4:2,cdefghijklmnopqrstuvwxyz ") ||
		!strings.Contains(got, "S=5:2,a ") {
		t.Error(got)
	}
}

// TestQuery exports what a search finds: every copy of it, and no mailbox without one.
func TestQuery(t *testing.T) {
	b := newBed(t)
	inbox := b.mailbox("ada", "INBOX")
	b.add(inbox, `\Flagged`, []byte("Subject: one\r\n\r\n"))
	b.add(inbox, ``, []byte("Subject: two\r\n\r\n"))
	b.add(b.mailbox("ada", "Copies"), ``, []byte("Subject: one\r\n\r\n"))
	b.add(b.mailbox("ada", "Other"), ``, []byte("Subject: three\r\n\r\n"))
	b.add(b.mailbox("bob", "INBOX"), `\Flagged`, []byte("Subject: four\r\n\r\n"))
	for _, one := range []struct {
		text    string
		account storage.AccountID
		want    string
	}{
		{"is:flagged", 0, ".mailcote-export ada/Copies.mbox ada/INBOX.mbox bob/INBOX.mbox"},
		{"is:flagged", b.account["bob"], ".mailcote-export bob/INBOX.mbox"},
		{"is:flagged in:copies", 0, ".mailcote-export ada/Copies.mbox"}, // not its copy in INBOX
		{"in:other OR is:flagged", 0, ".mailcote-export ada/Copies.mbox ada/INBOX.mbox ada/Other.mbox bob/INBOX.mbox"},
	} {
		q, err := query.Parse(one.text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		r := b.export(Options{Format: Mbox, Dir: dir, Query: &q, Text: one.text, Account: one.account})
		if got := names(t, dir); got != one.want || !r.Whole() {
			t.Errorf("%s, %+v", got, r)
		}
	}
	none, err := query.Parse("before:1990-01-01", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if r := b.export(Options{Format: EML, Dir: t.TempDir(), Query: &none, Text: "x"}); r.Written != 0 ||
		r.Mailboxes != 0 {
		t.Errorf("%+v", r)
	}
}

// TestEmails exports emails that are named: every copy of each, whatever their order, and no mailbox without one.
func TestEmails(t *testing.T) {
	b := newBed(t)
	inbox, other := b.mailbox("ada", "INBOX"), b.mailbox("ada", "Other")
	b.add(inbox, ``, []byte("Subject: one\r\n\r\n"), []byte("Subject: two\r\n\r\n"))
	b.add(b.mailbox("ada", "Copies"), ``, []byte("Subject: two\r\n\r\n"))
	b.add(other, ``, []byte("Subject: three\r\n\r\n"))
	b.add(b.mailbox("bob", "INBOX"), ``, []byte("Subject: four\r\n\r\n"))
	emails := func(box storage.MailboxID) (all []storage.EmailRow) {
		if err := b.Read(t.Context(), func(r *storage.Reader) error {
			copies, err := r.Copies(box, 7, 0, 10)
			for _, c := range copies {
				all = append(all, c.Email)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	two, three := emails(inbox)[1], emails(other)[0]
	dir := t.TempDir()
	var looked int64
	r := b.export(Options{Format: Mbox, Dir: dir, Emails: []storage.EmailRow{three, two, two},
		Progress: func(_, total int64) { looked = total }})
	if got := names(t, dir); got != ".mailcote-export ada/Copies.mbox ada/INBOX.mbox ada/Other.mbox" ||
		r.Written != 3 || !r.Whole() || looked != 4 {
		t.Errorf("%s, %+v, of %d", got, r, looked)
	}
	same(t, "INBOX", read(t, Mbox, filepath.Join(dir, "ada", "INBOX.mbox")),
		[][]byte{[]byte("Subject: two\r\n\r\n")})
	if r := b.export(Options{Format: Mbox, Dir: dir, Emails: []storage.EmailRow{two, three}}); r.Already != 3 {
		t.Errorf("again: %+v", r)
	}
	if _, err := Run(t.Context(), b.Store, Options{Format: Mbox, Dir: dir,
		Emails: []storage.EmailRow{two}}); !errors.Is(err, ErrOther) {
		t.Errorf("one of them: %v", err)
	}
	if r := b.export(Options{Format: EML, Dir: t.TempDir(), Emails: []storage.EmailRow{}}); r.Written != 0 {
		t.Errorf("none: %+v", r)
	}
}

// TestNotWhole exports what lacks a body and what is damaged. Both are counted, and the rest is there.
func TestNotWhole(t *testing.T) {
	b := newBed(t)
	inbox := b.mailbox("ada", "INBOX")
	var all [][]byte
	for i := range 5 {
		all = append(all, fmt.Appendf(nil, "Subject: %d\r\n\r\n%d\r\n", i, i))
	}
	b.add(inbox, ``, all...)
	b.alter(`UPDATE entry SET blob_id = NULL WHERE uid = 2;
		UPDATE blob_piece SET frame = (SELECT frame FROM blob_piece
		WHERE blob_id = (SELECT blob_id FROM entry WHERE uid = 5))
		WHERE blob_id = (SELECT blob_id FROM entry WHERE uid = 4)`)
	want := [][]byte{all[0], all[2], all[4]}
	for _, format := range Formats() {
		dir := t.TempDir()
		for range 2 {
			r := b.export(Options{Format: format, Dir: dir})
			if r.Whole() || r.Missing != 1 || r.Written+r.Already != 3 {
				t.Errorf("%s: %+v", format, r)
			}
			if int64(len(r.Damaged))+r.Unread != 1 || r.Written > 0 && r.Damaged[0].UID != 4 {
				t.Errorf("%s: %+v", format, r)
			}
			same(t, string(format), read(t, format, dir), want)
		}
	}
}

// TestLater exports again after mail came. A directory gets it, a finished file does not, and says so.
func TestLater(t *testing.T) {
	b := newBed(t)
	inbox := b.mailbox("ada", "INBOX")
	b.add(inbox, ``, []byte("one\r\n"))
	dirs := map[Format]string{}
	for _, format := range Formats() {
		dirs[format] = t.TempDir()
		b.export(Options{Format: format, Dir: dirs[format]})
	}
	b.add(inbox, ``, []byte("two\r\n"), []byte("three\r\n"))
	for format, dir := range dirs {
		r := b.export(Options{Format: format, Dir: dir})
		later := int64(0)
		if format == Mbox || format == JSONL {
			later = 2
		}
		if r.Later != later || r.Written != 2-later || r.Already != 1 {
			t.Errorf("%s: %+v", format, r)
		}
		if got := len(read(t, format, dir)); got != 3-int(later) {
			t.Errorf("%s: %d messages", format, got)
		}
	}
}

// TestDirectories tries directories that hold something else. What is there stays.
func TestDirectories(t *testing.T) {
	b := newBed(t)
	b.add(b.mailbox("ada", "INBOX"), ``, []byte("one\r\n"))
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) func(dir string) error {
		return func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700),
				os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
	}
	link := func(to, name string) func(dir string) error {
		return func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700),
				os.Symlink(to, filepath.Join(dir, name)))
		}
	}
	first := func(o Options) func(dir string) error {
		return func(dir string) error {
			o.Dir = dir
			_, err := Run(t.Context(), b.Store, o)
			return err
		}
	}
	after := func(steps ...func(string) error) func(dir string) error {
		return func(dir string) error {
			for _, step := range steps {
				if err := step(dir); err != nil {
					return err
				}
			}
			return nil
		}
	}
	mbox := first(Options{Format: Mbox})
	drop := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	none := errors.New("any")
	for i, one := range []struct {
		before func(dir string) error
		want   error
	}{
		{put("letter.txt", "mine"), ErrOccupied},
		{put(journalName, "mine"), nil}, // a journal that a kill cut in its first line
		{put(journalName, "mine\n"), ErrOther},
		{put(journalName, "{}\n"), ErrOther},
		{link(outside, journalName), ErrOccupied},
		{first(Options{Format: EML}), ErrOther},
		{first(Options{Format: Mbox, Query: &query.Query{}, Text: "x"}), ErrOther},
		{first(Options{Format: Mbox, Account: b.account["ada"]}), ErrOther},
		{after(mbox, put("notes.txt", "mine")), nil},
		{after(mbox, put("ada/INBOX.mbox", "edited")), nil}, // it was finished, and is the person's now
		{after(mbox, drop("ada/INBOX.mbox")), nil},
		{after(mbox, drop("ada/INBOX.mbox"), link(outside, "ada/INBOX.mbox.partial")), ErrInTheWay},
		{after(mbox, drop(journalName), put(journalName, "")), ErrInTheWay},
		{after(mbox, drop("ada/INBOX.mbox"), drop("ada"), link(filepath.Dir(outside), "ada")), none},
	} {
		dir := t.TempDir()
		if err := one.before(dir); err != nil {
			t.Fatal(err)
		}
		kept := tree(t, dir)
		_, err := Run(t.Context(), b.Store, Options{Format: Mbox, Dir: dir})
		if one.want == none && err == nil || one.want != none && !errors.Is(err, one.want) {
			t.Errorf("%d: %v, want %v", i, err, one.want)
		}
		for name, text := range tree(t, dir) {
			if was, ok := kept[name]; ok && name != journalName && !bytes.Equal(was, text) {
				t.Errorf("%d: %s was changed", i, name)
			}
		}
		if text, err := os.ReadFile(outside); err != nil || string(text) != "mine" {
			t.Fatalf("%d: a file outside: %q, %v", i, text, err)
		}
		if there, err := os.ReadDir(filepath.Dir(outside)); err != nil || len(there) != 1 {
			t.Fatalf("%d: something was made outside: %v, %v", i, there, err)
		}
	}
	dir := filepath.Join(outside, "under a file")
	if _, err := Run(t.Context(), b.Store, Options{Format: Mbox, Dir: dir}); err == nil {
		t.Error("a directory under a file")
	}
	dir = t.TempDir()
	busy := false
	if _, err := Run(t.Context(), b.Store, Options{Format: Mbox, Dir: dir, Progress: func(int64, int64) {
		_, err := Run(t.Context(), b.Store, Options{Format: Mbox, Dir: dir})
		busy = errors.Is(err, ErrBusy)
	}}); err != nil || !busy {
		t.Errorf("two at once: %v, refused %v", err, busy)
	}
}

// TestHostileMailboxes exports mailboxes and accounts with hostile names, 25,000 in each format in the long form.
// Every message is inside, once.
func TestHostileMailboxes(t *testing.T) {
	b := newBed(t)
	var want [][]byte
	seen := map[string]bool{}
	names := hostile()
	if form.Long() {
		names = mixes(rand.New(rand.NewPCG(form.Seed(t, 0), 0)), 40_000) // some are equal
	}
	b.write(func(w *storage.Writer) error {
		for i, raw := range names {
			if raw == "" || seen[raw] {
				continue
			}
			seen[raw] = true
			message := fmt.Appendf(nil, "Subject: %d\r\n\r\n", i)
			want = append(want, message)
			account := "ada"
			if i%4 == 0 && i < 1000 && strings.ToValidUTF8(raw, "") == raw && !strings.Contains(raw, "\x00") {
				account = raw
			}
			id, err := b.mailboxIn(w, account, raw)
			if err == nil {
				err = b.addIn(w, id, ``, message)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	formats := []Format{JSONL, Maildir}
	if form.Long() {
		formats = Formats()
	}
	for _, format := range formats {
		above := t.TempDir()
		dir := filepath.Join(above, "one", "two")
		r := b.export(Options{Format: format, Dir: dir})
		if !r.Whole() || r.Written != int64(len(want)) {
			t.Errorf("%s: %+v", format, r)
		}
		same(t, string(format), read(t, format, dir), want)
		if all := tree(t, above); len(all) != len(tree(t, dir)) {
			t.Errorf("%s: %d files, %d of them inside", format, len(all), len(tree(t, dir)))
		}
		t.Logf("%s: %d mailboxes, no file outside", format, len(want))
	}
}

// TestResumes ends exports at every place they can be ended at. The next one goes on to what one alone makes.
func TestResumes(t *testing.T) {
	b := newBed(t)
	inbox := b.mailbox("ada", "INBOX")
	var all [][]byte
	n := 2*page + 40
	for i := range n {
		all = append(all, fmt.Appendf(nil, "Subject: %d\r\n\r\nFrom %d\r\n%s", i, i, strings.Repeat("x", i*7%900)))
	}
	b.add(inbox, `\Seen Work`, all...)
	b.add(b.mailbox("ada", "Other"), `Later`, all[:5]...)
	want := slices.Concat(all, all[:5])
	cuts := 3
	if form.Long() {
		cuts = 40
	}
	for _, format := range Formats() {
		alone := t.TempDir()
		b.export(Options{Format: format, Dir: alone})
		dir := t.TempDir()
		for cut := range cuts {
			ctx, cancel := context.WithCancel(t.Context())
			calls := 0
			_, err := Run(ctx, b.Store, Options{Format: format, Dir: dir, Progress: func(int64, int64) {
				if calls++; calls > cut%3 {
					cancel()
				}
			}})
			cancel()
			if err == nil && cut == 0 {
				t.Fatalf("%s: it was not ended", format)
			}
		}
		r := b.export(Options{Format: format, Dir: dir})
		if !r.Whole() || r.Written+r.Already != int64(len(want)) || r.Already < page {
			t.Errorf("%s: %+v", format, r)
		}
		a, c := tree(t, alone), tree(t, dir)
		delete(a, journalName)
		delete(c, journalName)
		if !maps.EqualFunc(a, c, bytes.Equal) {
			t.Errorf("%s: what was ended and went on is not what one run makes", format)
		}
		same(t, string(format), read(t, format, dir), want)
	}
}
