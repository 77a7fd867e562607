package storage

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// message is what the model knows of one entry: which content, which flags, and whether a change has said these.
type message struct {
	n       int
	flags   Flags
	changed bool
}

// world is the model: what the server holds and the store was told, and a client that follows the change feed.
type world struct {
	b        *bed
	boxes    [2]MailboxID
	validity [2]UIDValidity // 0: the mailbox is lost
	held     [2]map[UID]message
	covered  [2]map[UID]bool
	last     func(w *Writer) error
	next     UIDValidity

	state int64
	copy  map[string]string // "Email e…" → what a client would have fetched
}

// TestModel replays random histories against the store and against maps, and compares what people and clients see.
func TestModel(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f != nil && f.Value.String() == "100" {
		if err := f.Value.Set("15"); err != nil {
			t.Fatal(err)
		}
		defer f.Value.Set("100") //nolint:errcheck // a constant
	}
	rapid.Check(t, func(rt *rapid.T) {
		// Power loss is not this test's matter, time is.
		b := bedOn(t, openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Holder: "test", weak: "OFF"}))
		defer b.Close() //nolint:errcheck // Cleanup comes late and asks again
		w := &world{b: b, next: 10, copy: map[string]string{}}
		for i, path := range []string{"INBOX", "Archive"} {
			w.held[i], w.covered[i] = map[UID]message{}, map[UID]bool{}
			w.next++
			w.boxes[i], w.validity[i] = b.mailbox(path, w.next), w.next
		}
		w.keys()
		rt.Repeat(map[string]func(*rapid.T){
			"store": w.store, "replay": w.replay, "expunge": w.expunge, "flag": w.flag, "switch": w.switchGeneration,
			"lose":   w.lose,
			"settle": w.settle, "sweep": w.sweep, "follow": w.follow, "": w.check,
		})
		w.follow(rt)
	})
}

// keys writes down by which keys each content joins a thread.
func (w *world) keys() {
	write(w.b.t, w.b.Store, func(x *Writer) error {
		if _, err := x.tx.Exec(`CREATE TABLE model_key (digest BLOB, key BLOB)`); err != nil {
			return err
		}
		for n := 1; n <= 6; n++ {
			sum := sha256.Sum256(raw(n))
			for _, key := range threadKeys(linkedHeader(n)) {
				if _, err := x.tx.Exec(`INSERT INTO model_key (digest, key) VALUES (?, ?)`, sum[:], key); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (w *world) write(rt *rapid.T, fn func(*Writer) error) {
	if err := w.b.Write(context.Background(), Interactive, 0, fn); err != nil {
		rt.Fatal(err)
	}
}

func (w *world) arrivals(rt *rapid.T, into map[UID]message) (all []Arrival, cover []Range) {
	uids := rapid.SliceOfNDistinct(rapid.Uint32Range(1, 12), 1, 6, rapid.ID).Draw(rt, "uids")
	slices.Sort(uids)
	for _, uid := range uids {
		m := message{rapid.IntRange(1, 6).Draw(rt, "content"),
			NewFlags(rapid.SliceOfNDistinct(rapid.SampledFrom([]string{`\Seen`, `\Flagged`, "custom"}), 0, 2,
				rapid.ID).Draw(rt, "flags")), false}
		arrived := m
		// what a change has said of the same message since has the higher MODSEQ
		if have, ok := into[UID(uid)]; ok && have.n == m.n && have.changed {
			m = have
		}
		into[UID(uid)] = m
		a := w.b.arrival(UID(uid), arrived.n, strings.Fields(string(arrived.flags))...)
		a.Header = linkedHeader(arrived.n)
		all = append(all, a)
		cover = append(cover, Range{UID(uid), UID(uid)})
	}
	return all, cover
}

// linkedHeader is the header of content n, which names others: 5 links 1 with 2 and 6 those with 3 and 4.
func linkedHeader(n int) Header {
	h := headerOf(n)
	h.BaseSubject = "tide"
	h.ThreadKeys = append(h.ThreadKeys, map[int][]string{2: {"lost"}, 3: {"lost"},
		5: {"<1@example.org>", "<2@example.org>"}, 6: {"<5@example.org>", "<3@example.org>", "<4@example.org>"},
	}[n]...)
	return h
}

// box draws a mailbox, bringing a lost one back first.
func (w *world) box(rt *rapid.T) int {
	i := rapid.IntRange(0, 1).Draw(rt, "box")
	if w.validity[i] == 0 {
		w.next++
		w.validity[i] = w.next
		path := []string{"INBOX", "Archive"}[i]
		w.write(rt, func(x *Writer) error {
			m, err := x.Mailbox(w.boxes[i])
			if err != nil {
				return err
			}
			m.Path = path
			if _, err := x.PutMailbox(m); err != nil {
				return err
			}
			if err := x.OpenGeneration(w.boxes[i], w.next, 1, 0); err != nil {
				return err
			}
			if m, err = x.Mailbox(w.boxes[i]); err == nil && m.Building != nil {
				err = x.SwitchGeneration(w.boxes[i], 1)
			}
			return err
		})
	}
	return i
}

func (w *world) store(rt *rapid.T) {
	i := w.box(rt)
	all, cover := w.arrivals(rt, w.held[i])
	batch := Batch{Mailbox: w.boxes[i], Validity: w.validity[i], Arrivals: all, Cover: cover}
	for _, a := range all {
		w.covered[i][a.UID] = true
	}
	w.last = func(x *Writer) error { _, err := x.StoreBatch(batch); return err }
	w.write(rt, w.last)
}

func (w *world) replay(rt *rapid.T) {
	if w.last == nil {
		return
	}
	before := dump(w.b.t.(*testing.T), w.b.Store)
	w.write(rt, w.last)
	if after := dump(w.b.t.(*testing.T), w.b.Store); after != before {
		rt.Fatalf("a replay changed the store:\n%s\nbecame\n%s", before, after)
	}
}

func (w *world) expunge(rt *rapid.T) {
	i := w.box(rt)
	uids := rapid.SliceOfN(rapid.Uint32Range(1, 12), 1, 5).Draw(rt, "uids")
	var gone []UID
	for _, uid := range uids {
		gone = append(gone, UID(uid))
		delete(w.held[i], UID(uid))
	}
	w.last = nil
	w.write(rt, func(x *Writer) error { return x.Expunge(w.boxes[i], w.validity[i], gone) })
}

func (w *world) flag(rt *rapid.T) {
	i := w.box(rt)
	var changes []FlagChange
	for _, uid := range rapid.SliceOfN(rapid.Uint32Range(1, 12), 1, 5).Draw(rt, "uids") {
		c := FlagChange{UID(uid), NewFlags(rapid.SliceOfN(rapid.SampledFrom([]string{`\Seen`, `\Answered`}), 0,
			2).Draw(rt, "flags")), 2}
		changes = append(changes, c)
		if m, ok := w.held[i][c.UID]; ok {
			w.held[i][c.UID] = message{m.n, c.Flags, m.changed || m.flags != c.Flags}
		}
	}
	w.last = nil
	w.write(rt, func(x *Writer) error { _, err := x.ApplyFlags(w.boxes[i], w.validity[i], changes); return err })
}

// switchGeneration builds a new generation over several transactions and shows it, or gives it up.
func (w *world) switchGeneration(rt *rapid.T) {
	i := w.box(rt)
	w.next++
	validity := w.next
	w.write(rt, func(x *Writer) error { return x.OpenGeneration(w.boxes[i], validity, 1, 0) })
	held, covered := map[UID]message{}, map[UID]bool{}
	for range rapid.IntRange(0, 2).Draw(rt, "batches") {
		all, cover := w.arrivals(rt, held)
		for _, a := range all {
			covered[a.UID] = true
		}
		w.write(rt, func(x *Writer) error {
			_, err := x.StoreBatch(Batch{Mailbox: w.boxes[i], Validity: validity, Arrivals: all, Cover: cover})
			return err
		})
		w.check(rt)
		if rapid.Bool().Draw(rt, "look") {
			w.follow(rt)
		}
	}
	w.last = nil
	if rapid.Bool().Draw(rt, "abandon") {
		w.write(rt, func(x *Writer) error { return x.OpenGeneration(w.boxes[i], w.validity[i], 1, 0) })
		return
	}
	w.write(rt, func(x *Writer) error { return x.SwitchGeneration(w.boxes[i], 3) })
	w.held[i], w.covered[i], w.validity[i] = held, covered, validity
}

func (w *world) lose(rt *rapid.T) {
	i := w.box(rt)
	w.last = nil
	w.write(rt, func(x *Writer) error { return x.LoseMailbox(w.boxes[i]) })
	w.held[i], w.covered[i], w.validity[i] = map[UID]message{}, map[UID]bool{}, 0
}

func (w *world) settle(rt *rapid.T) {
	w.write(rt, func(x *Writer) error { _, err := x.SettleOrphans(w.b.account); return err })
}

// sweep runs at a time when everything expunged is old, and the mailboxes that are lost stay known.
func (w *world) sweep(rt *rapid.T) {
	w.last = nil
	for i := range w.boxes {
		if w.validity[i] == 0 {
			return
		}
	}
	later := time.Now().Add(31 * 24 * time.Hour)
	if !rapid.Bool().Draw(rt, "tombstones") {
		later = time.Now().Add(2 * time.Hour)
	}
	if _, err := w.b.Sweep(context.Background(), later, time.Hour); err != nil {
		rt.Fatal(err)
	}
	if n := number(w.b.t, w.b.Store,
		`SELECT count(*) FROM blob WHERE sha256 NOT IN (SELECT digest FROM email)`); n != 0 {
		rt.Fatalf("%d blobs that nobody names are left", n)
	}
	if n := number(w.b.t, w.b.Store,
		`SELECT count(*) FROM thread WHERE id NOT IN (SELECT thread_id FROM email)`); n != 0 {
		rt.Fatalf("%d threads without emails are left", n)
	}
}

// check compares everything that is shown with the model.
func (w *world) check(rt *rapid.T) {
	var want []string
	for i, path := range []string{"INBOX", "Archive"} {
		unread := 0
		for uid, m := range w.held[i] {
			want = append(want, fmt.Sprintf("%s %d [%s] %x", path, uid, m.flags, w.b.packer.Pack(raw(m.n)).SHA256))
			if !m.flags.Has(`\Seen`) {
				unread++
			}
		}
		if got := text(w.b.t, w.b.Store, "SELECT total || '/' || unread FROM mailbox WHERE id = ?",
			w.boxes[i]); got != fmt.Sprintf("%d/%d", len(w.held[i]), unread) {
			rt.Fatalf("%s counts %s, want %d/%d", path, got, len(w.held[i]), unread)
		}
		if w.validity[i] == 0 {
			continue
		}
		var cover []Range
		read(w.b.t, w.b.Store, func(r *Reader) (err error) {
			cover, err = r.Coverage(w.boxes[i], w.validity[i], LevelBody)
			return err
		})
		var uids []Range
		for uid := range w.covered[i] {
			uids = append(uids, Range{uid, uid})
		}
		if uids = mergeRanges(uids); !slices.Equal(cover, uids) {
			rt.Fatalf("%s covers %v, want %v", path, cover, uids)
		}
	}
	slices.Sort(want)
	got := strings.Split(text(w.b.t, w.b.Store, `SELECT coalesce(group_concat(mailbox || ' ' || uid || ' [' || flags
		|| '] ' || sha256, char(10)), '') FROM mail`), "\n")
	if slices.Sort(got); !slices.Equal(got, want) && !(len(want) == 0 && got[0] == "") {
		rt.Fatalf("the view mail holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for what, query := range map[string]string{
		"emails whose live count is wrong": `SELECT count(*) FROM email e
			WHERE live <> (SELECT count(*) FROM entry WHERE email_id = e.id AND expunged_at IS NULL)`,
		"emails with two live entries in one mailbox": `SELECT count(*) FROM (SELECT 1 FROM entry
			WHERE expunged_at IS NULL GROUP BY mailbox_id, uidvalidity, email_id HAVING count(*) > 1)`,
		"entries whose email has other content": `SELECT count(*) FROM entry n
			JOIN email e ON e.id = n.email_id JOIN blob b ON b.id = n.blob_id WHERE b.sha256 <> e.digest`,
		"live emails that the feed calls destroyed, or the reverse": `SELECT count(*) FROM email e
			JOIN change c ON c.type = 'Email' AND c.object_id = e.jmap_id
			WHERE (e.destroyed_at IS NOT NULL) <> c.destroyed`,
		"emails without a change": `SELECT count(*) FROM email e
			WHERE NOT EXISTS (SELECT 1 FROM change c WHERE c.type = 'Email' AND c.object_id = e.jmap_id)
			AND destroyed_at IS NULL`,
		"threads the feed has wrong": `SELECT count(*) FROM thread t
			JOIN change c ON c.type = 'Thread' AND c.object_id = t.jmap_id WHERE c.destroyed = EXISTS (SELECT 1
			FROM email WHERE thread_id = t.id AND destroyed_at IS NULL)`,
		"emails with a key that leads elsewhere": `SELECT count(*) FROM email e
			JOIN model_key k ON k.digest = e.digest LEFT JOIN thread_reference r ON r.account_id = e.account_id
			AND r.key = k.key WHERE r.thread_id IS NOT e.thread_id`,
		"threads without emails": `SELECT count(*) FROM thread WHERE id NOT IN (SELECT thread_id FROM email)`,
		"former ids that an email has": `SELECT count(*) FROM email_alias
			WHERE jmap_id IN (SELECT jmap_id FROM email)`,
		"changes above the published number": `SELECT count(*) FROM change
			WHERE changed_no > (SELECT value FROM meta WHERE key = 'change_no')`,
	} {
		if n := number(w.b.t, w.b.Store, query); n != 0 {
			rt.Fatalf("%d %s", n, what)
		}
	}
}

// follow brings the client's copy up to date by the feed alone and compares it with what it would see from nothing.
func (w *world) follow(rt *rapid.T) {
	read(w.b.t, w.b.Store, func(r *Reader) error {
		now, err := objects(r)
		if err != nil {
			return err
		}
		var floor int64
		if err := r.snap.QueryRow(`SELECT coalesce(max(floor_no), 0) FROM change_floor`).Scan(&floor); err != nil {
			return err
		}
		if w.state < floor {
			w.copy = maps.Clone(now) // cannotCalculateChanges
		}
		rows, err := r.snap.Query(`SELECT type || ' ' || object_id, created_no, destroyed FROM change
			WHERE changed_no > ?`, w.state)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // a test's
		for rows.Next() {
			var object string
			var created int64
			var destroyed bool
			if err := rows.Scan(&object, &created, &destroyed); err != nil {
				return err
			}
			_, has := w.copy[object]
			switch {
			case destroyed:
				delete(w.copy, object)
			case created <= w.state && !has && w.state >= floor:
				rt.Fatalf("%s is reported as updated and was never created", object)
			case created <= w.state && strings.HasPrefix(object, "Email ") && w.state >= floor &&
				threadIn(w.copy[object]) != threadIn(now[object]):
				rt.Fatalf("%s is reported as updated and has another thread: %s, %s", object, w.copy[object],
					now[object])
			default:
				w.copy[object] = now[object]
			}
		}
		if !maps.Equal(w.copy, now) {
			rt.Fatalf("the client's copy is\n%s\nthe store says\n%s", lines(w.copy), lines(now))
		}
		return r.snap.QueryRow(`SELECT value FROM meta WHERE key = 'change_no'`).Scan(&w.state)
	})
}

// threadIn gives the thread in what a client would fetch of an email.
func threadIn(email string) string {
	thread, _, _ := strings.Cut(email, " ")
	return thread
}

func lines(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, k+" = "+v)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// objects is all that a client can fetch.
func objects(r *Reader) (map[string]string, error) {
	all := map[string]string{}
	rows, err := r.snap.Query(`
		SELECT 'Email ' || e.jmap_id, t.jmap_id || ' ' || coalesce((SELECT group_concat(m.path || ':' || n.uid ||
		n.flags, ',')
		FROM entry n JOIN mailbox m ON m.id = n.mailbox_id
		         AND m.uidvalidity = n.uidvalidity AND m.gone_at IS NULL
		WHERE n.email_id = e.id AND n.expunged_at IS NULL ORDER BY n.id), '')
		  FROM email e JOIN thread t ON t.id = e.thread_id WHERE e.destroyed_at IS NULL
		UNION ALL
		SELECT 'Mailbox M' || id, path || total || '/' || unread FROM mailbox WHERE gone_at IS NULL
		UNION ALL
		SELECT 'Thread ' || t.jmap_id, group_concat(e.jmap_id, ',') FROM thread t
		JOIN email e ON e.thread_id = t.id AND e.destroyed_at IS NULL GROUP BY t.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return nil, err
		}
		all[k] = v
	}
	return all, rows.Err()
}

// mergeRanges sorts ranges and joins those that touch.
func mergeRanges(ranges []Range) []Range {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return int(int64(a.Lo) - int64(b.Lo)) })
	var out []Range
	for _, one := range sorted {
		if n := len(out); n > 0 && int64(one.Lo) <= int64(out[n-1].Hi)+1 {
			out[n-1].Hi = max(out[n-1].Hi, one.Hi)
		} else {
			out = append(out, one)
		}
	}
	return out
}
