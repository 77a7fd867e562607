package storage

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mailcote/storage/internal/threading"
	"mailcote/testkit/form"
)

// threaded is a message whose bytes say what it names: "subject|key key|n".
func (b *bed) threaded(uid UID, n int, subject string, keys ...string) Arrival {
	text := fmt.Sprintf("%s|%s|%d", subject, strings.Join(keys, " "), n)
	a := b.arrivalOf(uid, []byte(text), n)
	a.Header.BaseSubject, a.Header.ThreadKeys = subject, keys
	return a
}

// threadedHeader reads such a message.
func threadedHeader(r io.Reader) (Header, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return Header{}, err
	}
	subject, rest, _ := strings.Cut(string(text), "|")
	keys, n, _ := strings.Cut(rest, "|")
	return Header{Subject: "message " + n, BaseSubject: subject, ThreadKeys: strings.Fields(keys)}, nil
}

func (b *bed) rebuildThreads(parse func(io.Reader) (Header, error)) {
	b.t.Helper()
	var done, total int64
	n, err := b.RebuildThreads(b.t.Context(), ThreadsOptions{Parse: parse,
		Progress: func(d, of int64) { done, total = d, of }})
	if err != nil {
		b.t.Fatal(err)
	}
	if want := number(b.t, b.Store, `SELECT count(*) FROM email WHERE digest IS NOT NULL`); n != want {
		b.t.Errorf("%d messages, want %d", n, want)
	}
	if done > total || total == 0 {
		b.t.Errorf("progress %d of %d", done, total)
	}
}

// everyThread is all that a rebuild may change.
func (b *bed) everyThread() string {
	b.t.Helper()
	var all []string
	for _, statement := range []string{
		`SELECT coalesce(group_concat(id || jmap_id || ' in ' || thread_id, ' ' ORDER BY id), '') FROM email`,
		`SELECT coalesce(group_concat(id || jmap_id, ' ' ORDER BY id), '') FROM thread`,
		`SELECT coalesce(group_concat(hex(key) || thread_id, ' ' ORDER BY account_id, key), '') FROM thread_reference`,
		`SELECT coalesce(group_concat(object_id || changed_no || destroyed, ' ' ORDER BY changed_no), '') FROM change`,
		`SELECT count(*) || ' ' || (SELECT value FROM meta WHERE key = 'change_no') FROM email_alias`,
	} {
		all = append(all, text(b.t, b.Store, statement))
	}
	return strings.Join(all, "\n")
}

// Threads that are made again join what belongs together and part what does not. The others keep theirs.
func TestRebuildThreads(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.threaded(1, 1, "talk", "1"), b.threaded(2, 2, "talk", "2", "1"), b.threaded(3, 3, "talk", "3"),
		b.threaded(4, 4, "talk", "4"), b.threaded(5, 5, "talk", "5"))
	threads := func() string {
		return text(t, b.Store, `SELECT group_concat(thread_id, ' ' ORDER BY id) FROM email`)
	}
	if got := threads(); got != "1 1 2 3 4" {
		t.Fatalf("threads %s", got)
	}
	before := b.everyThread()
	b.rebuildThreads(threadedHeader)
	if after := b.everyThread(); after != before {
		t.Errorf("sound threads changed from\n%s\nto\n%s", before, after)
	}
	b.execute(`UPDATE email SET thread_id = 2 WHERE id = 2`, `UPDATE email SET thread_id = 3 WHERE id = 5`)
	b.rebuildThreads(threadedHeader)
	if got := threads(); got != "1 1 2 3 5" {
		t.Errorf("threads %s", got)
	}
	b.dropEmptyThreads()
	b.sound()
}

// dropEmptyThreads repairs what damage leaves beside the threads.
func (b *bed) dropEmptyThreads() {
	b.t.Helper()
	found, err := b.Check(b.t.Context(), CheckOptions{})
	if err == nil {
		err = b.Repair(b.t.Context(), RepairOptions{Found: found})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// A conversation whose links come late, or only from its last message, keeps its thread and its ids.
func TestRebuildKeepsLateLinks(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.threaded(1, 1, "talk", "a"), b.threaded(2, 2, "talk", "b"), b.threaded(3, 3, "talk", "c"),
		b.threaded(4, 4, "talk", "d", "a", "b", "c"))
	before := b.everyThread()
	b.rebuildThreads(threadedHeader)
	if after := b.everyThread(); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
}

// A reply that comes while threads are made again joins its conversation, and nobody of it gets another id.
func TestReplyDuringRebuild(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.threaded(1, 1, "talk", "a"), b.threaded(2, 2, "talk", "b", "a"), b.threaded(3, 3, "talk", "c"),
		b.threaded(4, 4, "talk", "d", "c"))
	b.execute(`UPDATE email SET thread_id = (SELECT thread_id FROM email WHERE id = 1) WHERE id = 4`)
	first, second, late := b.idOf(1), b.idOf(2), UID(4)
	b.rebuildThreads(func(r io.Reader) (Header, error) {
		if late++; late < 9 { // while each of the four is read
			b.store(box, 7, b.threaded(late, int(late), "talk", fmt.Sprint(late), "b", "a"))
		}
		return threadedHeader(r)
	})
	if got := b.partition(); got != "1 2 5 6 7 8, 3 4" {
		t.Errorf("threads %s", got)
	}
	if b.idOf(1) != first || b.idOf(2) != second {
		t.Error("ids of the conversation changed")
	}
	// What comes after the last was read is read in the transaction that writes: of its thread nothing is unknown.
	t.Run("at the end", func(t *testing.T) {
		b.execute(`UPDATE email SET thread_id = (SELECT thread_id FROM email WHERE id = 1) WHERE id = 4`)
		one := &rethreading{account: b.account, parse: threadedHeader, set: threading.New()}
		for more := true; more; {
			var err error
			if more, err = one.read(t.Context(), b.Store); err != nil {
				t.Fatal(err)
			}
		}
		b.store(box, 7, b.threaded(20, 20, "talk", "x", "a"))
		id, thread := b.idOf(20), b.threadOf(20)
		if err := b.WriteAlone(t.Context(), one.write); err != nil {
			t.Fatal(err)
		}
		if got := b.partition(); got != "1 2 5 6 7 8 20, 3 4" {
			t.Errorf("threads %s", got)
		}
		if b.idOf(20) != id || b.threadOf(20) != thread {
			t.Error("the reply has other ids")
		}
	})
}

// After any damage the threads are those of the messages again, as they were before it. A part that is more than half
// of its thread and of its conversation keeps thread and ids, and a second rebuild changes nothing.
func TestRebuildAnyDamage(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random, rounds := rand.New(rand.NewPCG(seed, 0)), 3
	if form.Long() {
		rounds = 200
	}
	b := newBed(t)
	for round := range rounds {
		one := *b
		write(t, b.Store, func(w *Writer) (err error) {
			name := fmt.Sprint("any", round)
			one.account, err = w.AddAccount(Account{Name: name, User: name, Host: "localhost", Port: 143,
				Security: "plain"})
			return err
		})
		one.anyDamage(random, 100*(round+1))
	}
	b.dropEmptyThreads()
	b.sound()
}

func (b *bed) anyDamage(random *rand.Rand, first int) {
	b.t.Helper()
	box, n := b.mailbox("INBOX", 7), 12
	var all []Arrival
	for i := range n {
		var keys []string
		for range random.IntN(4) {
			keys = append(keys, string(rune('a'+random.IntN(12))))
		}
		all = append(all, b.threaded(UID(i+1), first+i, []string{"tide", "kelp"}[random.IntN(2)], keys...))
	}
	b.store(box, 7, all...)
	ofAll := func(what string) []string {
		return strings.Fields(text(b.t, b.Store, `SELECT coalesce(group_concat(`+what+`, ' ' ORDER BY n.uid), '')
			FROM entry n JOIN email e ON e.id = n.email_id WHERE n.mailbox_id = ?`, box))
	}
	leads := func() string { // each Message-ID by the first message of its thread
		return text(b.t, b.Store, `SELECT group_concat(hex(key) || ' ' || (SELECT min(n.uid) FROM email e
			JOIN entry n ON n.email_id = e.id WHERE e.thread_id = r.thread_id), ' ' ORDER BY key)
			FROM thread_reference r WHERE account_id = ?`, b.account)
	}
	right, lead, jmap, in := b.partition(), leads(), ofAll("e.jmap_id"), ofAll("e.thread_id")
	state := b.everyThread()
	b.rebuildThreads(threadedHeader)
	if got := b.everyThread(); got != state {
		b.t.Fatalf("sound threads changed from\n%s\nto\n%s", state, got)
	}
	threads := strings.Fields(text(b.t, b.Store, `SELECT group_concat(id, ' ') FROM thread WHERE account_id = ?`,
		b.account))
	var damage []string
	for range 1 + random.IntN(9) {
		thread, victim := threads[random.IntN(len(threads))], random.IntN(n)
		damage = append(damage, []string{
			fmt.Sprintf(`UPDATE email SET thread_id = %s WHERE jmap_id = '%s'`, thread, jmap[victim]),
			fmt.Sprintf(`UPDATE thread_reference SET thread_id = %s WHERE account_id = %d AND key = (SELECT key
				FROM thread_reference WHERE account_id = %[2]d LIMIT 1 OFFSET %d)`, thread, b.account, victim),
			fmt.Sprintf(`DELETE FROM thread_reference WHERE account_id = %d AND key = (SELECT key
				FROM thread_reference WHERE account_id = %[1]d LIMIT 1 OFFSET %d)`, b.account, victim),
		}[random.IntN(3)])
	}
	b.execute(damage...)
	now := ofAll("e.thread_id")
	b.rebuildThreads(threadedHeader)
	if got := b.partition(); got != right {
		b.t.Fatalf("threads %s, want %s", got, right)
	}
	if got := leads(); got != lead {
		b.t.Fatalf("Message-IDs lead to\n%s, want\n%s", got, lead)
	}
	for i, id := range ofAll("e.jmap_id") {
		var ofThread, ofConversation, ofBoth int
		for j := range in {
			a, b := now[j] == now[i], in[j] == in[i]
			for _, one := range []struct {
				n  *int
				is bool
			}{{&ofThread, a}, {&ofConversation, b}, {&ofBoth, a && b}} {
				if one.is {
					*one.n++
				}
			}
		}
		if 2*ofBoth > ofThread && 2*ofBoth > ofConversation && id != jmap[i] {
			b.t.Fatalf("email %d is of the largest part and has another id", i+1)
		}
	}
	state = b.everyThread()
	b.rebuildThreads(threadedHeader)
	if got := b.everyThread(); got != state {
		b.t.Fatalf("a second rebuild changed\n%s\nto\n%s", state, got)
	}
	b.execute(damage...)
	b.anyUnreadable(random, all, ofAll)
	b.rebuildThreads(threadedHeader)
}
