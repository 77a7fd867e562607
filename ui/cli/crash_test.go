package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/testkit/child"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/truth"
)

// letter is a message in a mailbox, whatever its UID and flags are: what must never be lost or doubled. The corpus has
// each content once in a mailbox.
type letter struct{ mailbox, sum string }

// TestKill is bar 1: it kills the program at random moments while another client adds, flags and takes away mail,
// and sometimes a mailbox is renumbered: between two syncs, and under a run that is in its pass. After each kill
// the store is sound, what a reader had seen is there, nothing is doubled, and the next start works at once; in
// the end no task is left.
func TestKill(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	wanted, start := byLength(15, 1000), time.Now()
	l := &killLoop{rig: r, random: seeded(t), limits: [2]time.Duration{time.Second, 200 * time.Millisecond},
		ever: map[letter]bool{}}
	l.fill(7, byLength(1200, 400), 8, corpus.Options{AvgSize: 5000})
	l.remember()
	for l.kills < wanted {
		before := l.kills
		if l.round(); l.kills > before && l.kills%100 == 0 {
			t.Logf("%d kills after %v", l.kills, time.Since(start).Round(time.Second))
		}
	}
	began := time.Now()
	last := r.sync()
	l.claimed(began)
	l.remember()
	r.whole(l.now)
	slices.Sort(l.resumed)
	t.Logf("%d kills (%d in a first sync, %d of a run; %d syncs ended first), %d times a reader had seen mail just "+
		"before: 0 lost, 0 doubled, 0 tasks left; work resumed after %v in the median, %v at most; the last sync "+
		"took %v",
		l.kills, l.early, l.runs, l.ended, l.acks, l.resumed[len(l.resumed)/2], l.resumed[len(l.resumed)-1], last.took)
}

type killLoop struct {
	*rig
	random *rand.Rand
	limits [2]time.Duration // a kill comes within, in a first sync and in a later one
	later  int              // 1 when the store has been complete once
	past   int              // rounds since then, or before
	rounds int
	kills  int
	early  int  // kills before the first sync was complete
	runs   int  // kills of `mailcote run`
	ended  int  // syncs that ended before their kill
	known  bool // the store has the account with its password
	acks   int  // kills just before which a reader saw the store

	ever    map[letter]bool // all mail the server ever had
	now     []truth.Line    // what it has
	seen    []letter        // what a reader saw in the store last
	resumed []time.Duration // from start to the first claimed task
}

// remember reads the server. It ends sessions, and the next one too, when a mailbox is renumbered under one that
// has it open.
func (l *killLoop) remember() {
	l.t.Helper()
	var err error
	for range 5 {
		if l.now, err = truth.Read(l.t.Context(), l.server.Addr(), dovecot.User, dovecot.Password); err == nil {
			break
		}
		l.t.Logf("round %d: %v", l.rounds, err)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	for _, line := range l.now {
		l.ever[letter{line.Mailbox, line.SHA256}] = true
	}
}

// round starts a sync, kills it, and looks at what is left.
func (l *killLoop) round() {
	l.t.Helper()
	l.rounds++
	if l.past++; l.past > 7 { // as many first syncs are killed as later ones
		if l.past = 0; l.later == 0 {
			l.sync()
			l.later = 1
		} else {
			l.fresh()
			l.seen, l.later, l.known = nil, 0, false
		}
	}
	limit := &l.limits[l.later]
	agent := l.later == 1 && l.random.IntN(2) == 0
	if agent && !l.known {
		l.exits(0, "account", "add", l.url())
		l.known = true
	}
	began := time.Now()
	var p *child.Proc
	if agent {
		p = l.start("run", "--port", "0", "--json", "--quiet")
		l.stir() // in its first pass
	} else {
		p = l.start("sync", l.url(), "--once", "--json")
	}
	moment := time.NewTimer(time.Duration(l.random.Int64N(int64(*limit))))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-p.Done():
	}
	if l.random.IntN(2) == 0 {
		if seen, ok := l.look(); ok {
			l.seen = seen
			l.acks++
		}
	}
	p.Kill()
	took, _ := p.Usage()
	switch code := p.ExitCode(); code {
	case -1:
		l.kills++
		l.early += 1 - l.later
		if agent {
			l.runs++
		} else {
			*limit = min(*limit+*limit/10, 3*time.Second)
		}
	case 0:
		l.ended++
		*limit = max(took, 50*time.Millisecond)
	default:
		l.t.Fatalf("round %d: status %d: %s", l.rounds, code, p.Stderr())
	}
	if after, ok := l.look(); ok {
		l.judge(after)
		l.sound()
		l.claimed(began)
	}
	if !agent {
		l.stir()
	}
}

// look reads beside the program, as a person would: the mail committed so far. false: there is no store yet.
func (l *killLoop) look() ([]letter, bool) {
	l.t.Helper()
	s, err := storage.Open(context.Background(), l.store, storage.Options{ReadOnly: true})
	if errors.Is(err, storage.ErrMissing) || errors.Is(err, storage.ErrNotStore) && len(l.seen) == 0 {
		return nil, false
	}
	if err != nil {
		l.t.Fatal(err)
	}
	var all []letter
	err = s.SQL(context.Background(), `SELECT mailbox, sha256 FROM mail WHERE has_body = 1`,
		func(_ []string, row []any) error {
			all = append(all, letter{row[0].(string), row[1].(string)})
			return nil
		})
	if err := errors.Join(err, s.Close()); err != nil {
		l.t.Fatal(err)
	}
	return all, true
}

// judge compares what is there after a kill with what a reader saw before it and with the server.
func (l *killLoop) judge(after []letter) {
	l.t.Helper()
	have, on := map[letter]bool{}, map[letter]bool{}
	for _, one := range after {
		if have[one] {
			l.t.Fatalf("round %d: doubled: %v", l.rounds, one)
		}
		if !l.ever[one] {
			l.t.Fatalf("round %d: the server never had %v", l.rounds, one)
		}
		have[one] = true
	}
	for _, line := range l.now {
		on[letter{line.Mailbox, line.SHA256}] = true
	}
	for _, one := range l.seen {
		if !have[one] && on[one] {
			l.t.Fatalf("round %d: lost: %v was committed before the kill", l.rounds, one)
		}
	}
	l.seen = after
}

// claimed notes how long after its start the program had taken a task, if it got so far.
func (l *killLoop) claimed(began time.Time) {
	l.t.Helper()
	o := l.exits(0, "sql", "--json",
		`SELECT min(started_at) AS at,
			(SELECT count(*) FROM accounts WHERE last_success_at IS NOT NULL) AS done
			FROM sync_tasks WHERE started_at >= '`+
			began.UTC().Format("2006-01-02T15:04:05.000Z")+`'`)
	var row struct {
		At   *time.Time
		Done int
	}
	if err := json.Unmarshal([]byte(o.out), &row); err != nil {
		l.t.Fatalf("%s: %v", o.out, err)
	}
	l.later = row.Done
	if row.At == nil {
		return
	}
	after := row.At.Sub(began)
	l.resumed = append(l.resumed, after)
	// The promise is 1 s on a quiet machine; tests share theirs.
	if after > 5*time.Second {
		l.t.Errorf("round %d: the first task was taken %v after the start", l.rounds, after)
	}
}

// stir changes the mail on the server as another client.
func (l *killLoop) stir() {
	l.t.Helper()
	c := l.other()
	defer c.Close()
	l.fill(1000+uint64(l.rounds), 10, 8, corpus.Options{AvgSize: 5000})
	mailbox := corpus.Mailboxes(8)[l.random.IntN(8)]
	var uids []string
	for _, line := range l.now {
		if line.Mailbox == mailbox {
			uids = append(uids, strconv.FormatUint(uint64(line.UID), 10))
		}
	}
	l.random.Shuffle(len(uids), func(i, j int) { uids[i], uids[j] = uids[j], uids[i] })
	flagged, gone := uids[:min(20, len(uids)/3)], uids[len(uids)-min(10, len(uids)/4):]
	var err error
	if len(flagged) > 0 {
		how := []string{"+FLAGS", "-FLAGS"}[l.random.IntN(2)]
		err = c.Store(mailbox, strings.Join(flagged, ","), how, `\Flagged`, `\Seen`)
	}
	if len(gone) > 0 {
		err = errors.Join(err, c.Expunge(mailbox, strings.Join(gone, ",")))
	}
	if l.rounds%7 == 0 {
		err = errors.Join(err, l.server.Renumber(dovecot.User, mailbox))
	}
	if err != nil {
		l.t.Fatal(fmt.Errorf("round %d: %w", l.rounds, err))
	}
	l.remember()
}

// TestStartTogether starts the program and several readers at the same moment on a store whose owner was killed,
// so that all of them want to bring the write-ahead log back.
func TestStartTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	line := r.through()
	r.fill(8, 1000, 4, corpus.Options{AvgSize: 5000})
	line.Set(proxy.Faults{Rate: 500_000}) // the sync is not over when it is killed
	p := r.start("sync", r.url(), "--once")
	r.awaits(400, someMail)
	p.Kill()
	line.Set(proxy.Faults{})
	log, err := os.ReadFile(r.store + "-wal")
	if err != nil || len(log) == 0 {
		t.Fatalf("the killed program left no log: %v", err)
	}
	main, err := os.ReadFile(r.store)
	if err != nil {
		t.Fatal(err)
	}
	for range byLength(5, 50) {
		r.fresh()
		r.write(r.store, main)
		r.write(r.store+"-wal", log)
		var readers []*child.Proc
		owner := r.start("sync", account)
		for range 4 {
			readers = append(readers, r.start("status"))
		}
		// --once kept no password: 77 says that it came that far.
		if o := r.end(owner); o.code != 77 {
			t.Fatalf("the owner: status %d: %s", o.code, o.errs)
		}
		for _, reader := range readers {
			if o := r.end(reader); o.code != 0 {
				t.Fatalf("a reader: status %d: %s", o.code, o.errs)
			}
		}
	}
	r.sync()
	r.whole(r.truth())
}
