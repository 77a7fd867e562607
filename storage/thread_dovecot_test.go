package storage_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/engine/message"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/truth"
)

// letter is a message of a generated conversation.
type letter struct {
	id      string
	raw     []byte
	header  storage.Header
	mailbox int
}

// conversations makes n messages, oldest first. A third names its parent in In-Reply-To only. Some parents are lost,
// some answers have another subject, references are cut, and a few messages name a parent of another conversation.
func conversations(random *rand.Rand, n int) []letter {
	type node struct {
		id, subject string
		chain       []string // ids from the root to the parent
	}
	words := []string{"Re: ", "RE: ", "AW: ", "Antw: ", "SV: ", "Re[2]: ", "R: ", "Odp: ", "回复：", "Fwd: ",
		"Re: AW: ", ""}
	var open []node
	var all []letter
	for i := 0; len(all) < n; i++ {
		at := node{id: fmt.Sprintf("%d.%x@tide.example", i, random.Uint32()), subject: fmt.Sprintf("Tide table %d", i)}
		written := at.subject
		if len(open) > 0 && random.IntN(100) < 75 {
			parent := open[max(0, len(open)-1-random.IntN(200))]
			at.chain, at.subject = append(slices.Clone(parent.chain), parent.id), parent.subject
			if random.IntN(100) < 2 {
				at.subject = fmt.Sprintf("Other tide %d (was %s)", i, parent.subject)
			}
			written = words[random.IntN(len(words))] + at.subject
		}
		open = append(open, at)
		if random.IntN(100) < 3 {
			continue // lost, or in nobody's mailbox
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "From: Jo <jo@tide.example>\r\nDate: %s\r\nMessage-ID: <%s>\r\nSubject: %s\r\n",
			time.Unix(1_700_000_000+int64(i)*60, 0).UTC().Format(time.RFC1123Z), at.id, encoded(written))
		if parents := len(at.chain); parents > 0 {
			kind := random.IntN(3)
			if kind != 0 {
				known := at.chain[max(0, parents-10):] // as clients that bound the field
				fmt.Fprintf(&b, "References: <%s>\r\n", strings.Join(known, ">\r\n <"))
			}
			if kind != 1 {
				fmt.Fprintf(&b, "In-Reply-To: <%s>\r\n", at.chain[parents-1])
			}
		}
		fmt.Fprintf(&b, "\r\nNumber %d\r\n", i)
		one := letter{id: at.id, raw: b.Bytes(), mailbox: random.IntN(5)}
		one.header = row.Header(message.Parse(bytes.NewReader(one.raw), message.Limits{}))
		all = append(all, one)
	}
	return all
}

// encoded writes a subject as clients do.
func encoded(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r > 126 }) {
		return "=?utf-8?q?" + strings.NewReplacer(" ", "_").Replace(escaped(s)) + "?="
	}
	return s
}

func escaped(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c > 126 || c == '=' || c == '?' || c == '_' {
			fmt.Fprintf(&b, "=%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// partition is which class each letter is in.
type partition []int

// byKeys joins letters that share a key.
func byKeys(all []letter, key func(letter, string) string) partition {
	p, first := make(partition, len(all)), map[string]int{}
	root := func(i int) int {
		for p[i] != i {
			p[i] = p[p[i]]
			i = p[i]
		}
		return i
	}
	for i, one := range all {
		p[i] = i
		for _, id := range one.header.ThreadKeys {
			k := key(one, id)
			if j, ok := first[k]; ok {
				p[root(i)] = root(j)
			} else {
				first[k] = i
			}
		}
	}
	for i := range p {
		p[i] = root(i)
	}
	return p
}

// pairs calls fn for each pair that either partition has together.
func pairs(a, b partition, fn func(i, j int)) {
	for n, p := range []partition{a, b} {
		classes := map[int][]int{}
		for i, class := range p {
			classes[class] = append(classes[class], i)
		}
		for _, members := range classes {
			for x, i := range members {
				for _, j := range members[x+1:] {
					if n == 0 || a[i] != a[j] {
						fn(i, j)
					}
				}
			}
		}
	}
}

// askDovecot gives Dovecot's THREAD=REFERENCES of the letters.
func askDovecot(t *testing.T, all []letter) partition {
	t.Helper()
	server := dovecot.Start(t, dovecot.Config{})
	for _, one := range all {
		server.Deliver(t, dovecot.User, "INBOX", one.raw, dovecot.Options{})
	}
	client, err := truth.Dial(t.Context(), server.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	at := map[string]int{}
	for i, one := range all {
		at[one.id] = i
	}
	if _, err := client.Do("EXAMINE INBOX"); err != nil {
		t.Fatal(err)
	}
	lines, err := client.Do("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
	if err != nil {
		t.Fatal(err)
	}
	letterOf := map[string]int{}
	for _, line := range lines {
		_, rest, ok := strings.Cut(line, "(UID ")
		uid, rest, _ := strings.Cut(rest, " ")
		_, rest, _ = strings.Cut(rest, "<")
		id, _, _ := strings.Cut(rest, ">")
		if ok {
			letterOf[uid] = at[id]
		}
	}
	if len(letterOf) != len(all) {
		t.Fatalf("Dovecot has %d messages, want %d", len(letterOf), len(all))
	}
	lines, err = client.Do("UID THREAD REFERENCES UTF-8 ALL")
	if err != nil {
		t.Fatal(err)
	}
	p, depth, class, uid := make(partition, len(all)), 0, 0, ""
	for _, c := range strings.Join(lines, "") + " " {
		switch {
		case c >= '0' && c <= '9':
			uid += string(c)
			continue
		case uid != "" && depth > 0:
			p[letterOf[uid]] = class
		}
		uid = ""
		switch c {
		case '(':
			if depth++; depth == 1 {
				class++
			}
		case ')':
			depth--
		}
	}
	if slices.Contains(p, 0) {
		t.Fatal("THREAD left messages out")
	}
	return p
}

// stored stores letters in an order and gives the store's threads and how many ids changed.
func stored(t *testing.T, all []letter, order []int, check bool) (partition, int) {
	t.Helper()
	store, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // a test's
	packer, err := storage.NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer packer.Close() //nolint:errcheck // it frees memory only
	var boxes [5]storage.MailboxID
	if err := store.Write(t.Context(), storage.Interactive, 0, func(w *storage.Writer) error {
		account, err := w.AddAccount(storage.Account{Name: "jo", User: "jo", Host: "localhost", Port: 143,
			Security: "plain"})
		for i := range boxes {
			if err != nil {
				return err
			}
			name := fmt.Sprintf("Box %d", i)
			if boxes[i], err = w.PutMailbox(storage.Mailbox{Account: account, Raw: name, Path: name, Delimiter: "/",
				Selectable: true, Priority: 5}); err == nil {
				err = w.OpenGeneration(boxes[i], 7, 1, 0)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	at := map[[2]int]int{} // by mailbox and UID; a mailbox's UIDs have no gaps, so that its coverage stays small
	var last [5]storage.UID
	for some := range slices.Chunk(order, 100) {
		var batches [5]storage.Batch
		for _, i := range some {
			one := all[i]
			b := &batches[one.mailbox]
			last[one.mailbox]++
			uid := last[one.mailbox]
			at[[2]int{one.mailbox, int(uid)}] = i
			b.Arrivals = append(b.Arrivals, storage.Arrival{UID: uid, ModSeq: 1,
				InternalDate: time.Unix(1_700_000_000, 0), Body: packer.Pack(one.raw), Header: one.header})
			b.Cover = append(b.Cover, storage.Range{Lo: uid, Hi: uid})
		}
		if err := store.Write(context.Background(), storage.Bulk, 0, func(w *storage.Writer) error {
			for i, b := range batches {
				b.Mailbox, b.Validity = boxes[i], 7
				if _, err := w.StoreBatch(b); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	p, aliases := make(partition, len(all)), 0
	if err := store.Read(t.Context(), func(r *storage.Reader) error {
		rows, err := tables.Of(r).Query(`SELECT n.mailbox_id, n.uid, e.thread_id FROM entry n
			JOIN email e ON e.id = n.email_id`)
		if err := tables.Each(rows, err, func(rows *sql.Rows) error {
			var box, uid, thread int
			err := rows.Scan(&box, &uid, &thread)
			p[at[[2]int{slices.Index(boxes[:], storage.MailboxID(box)), uid}]] = thread
			return err
		}); err != nil {
			return err
		}
		return tables.Of(r).QueryRow(`SELECT count(*) FROM email_alias`).Scan(&aliases)
	}); err != nil {
		t.Fatal(err)
	}
	if check {
		if found, err := store.Check(t.Context(), storage.CheckOptions{}); err != nil || len(found) > 0 {
			t.Errorf("check: %v, %v", found, err)
		}
	}
	return p, aliases
}

// orders are the orders in which n messages may come.
func orders(random *rand.Rand, all []letter) map[string][]int {
	oldest := make([]int, len(all))
	for i := range oldest {
		oldest[i] = i
	}
	newest := slices.Clone(oldest)
	slices.Reverse(newest)
	shuffled := slices.Clone(oldest)
	random.Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	boxes := slices.Clone(newest)
	slices.SortStableFunc(boxes, func(a, b int) int { return all[a].mailbox - all[b].mailbox })
	return map[string][]int{"oldest first": oldest, "newest first": newest, "shuffled": shuffled,
		"mailbox by mailbox": boxes}
}

// TestThreadsOfDovecot compares the store's threads with Dovecot's THREAD=REFERENCES, in every order of arrival.
func TestThreadsOfDovecot(t *testing.T) {
	n := 300
	if form.Long() {
		n = 20_000
	}
	random := rand.New(rand.NewPCG(form.Seed(t, 1), 0))
	all := conversations(random, n)
	want := askDovecot(t, all)
	linked := byKeys(all, func(_ letter, id string) string { return id })
	ruled := byKeys(all, func(one letter, id string) string { return id + "\x00" + one.header.BaseSubject })
	for name, order := range orders(random, all) {
		got, aliases := stored(t, all, order, true)
		same, alone, subject, wrong := 0, 0, 0, 0
		pairs(want, got, func(i, j int) {
			switch {
			case want[i] == want[j] && got[i] == got[j]:
				same++
			case want[i] == want[j] && linked[i] != linked[j]:
				alone++ // Dovecot also joins by subject alone (RFC 5256, REFERENCES step 5)
			case want[i] == want[j] && ruled[i] != ruled[j]:
				subject++ // RFC 8621 §3 parts these: only a message of another subject links them
			default:
				if wrong++; wrong <= 5 {
					t.Logf("%s: %s and %s are together for Dovecot: %t", name, all[i].id, all[j].id,
						want[i] == want[j])
				}
			}
		})
		agree := 100 * float64(same) / float64(same+wrong)
		t.Logf("%s: %.3f %% of %d pairs agree; apart by base subject: %d; together for Dovecot by subject alone: %d; "+
			"%d of %d ids changed", name, agree, same+wrong, subject, alone, aliases, n)
		if agree < 99.5 || same < n {
			t.Errorf("%s: %d pairs differ, %d agree", name, wrong, same)
		}
		if most := float64(n) * math.Log2(float64(n)); float64(aliases) > most {
			t.Errorf("%s: %d ids changed, at most %.0f may", name, aliases, most)
		}
	}
}
