package engine

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/testkit/form"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

// misfortune is a network fault at a phase of the protocol.
type misfortune struct {
	act, phase int // of trouble and phases
	seed       uint64
}

// act is a network fault with its name.
type act struct {
	name string
	proxy.Act
}

// trouble is the twelve network faults of bar 5. Their times are in proportion to hasty.
func trouble(random *rand.Rand) []act {
	some := 1 + random.IntN(3)
	return []act{
		{"reset", proxy.Act{Kind: proxy.Reset}},
		{"end", proxy.Act{Kind: proxy.End}},
		{"half close", proxy.Act{Kind: proxy.HalfClose}},
		{"address lost", proxy.Act{Kind: proxy.Void}},
		{"nothing comes", proxy.Act{Kind: proxy.Deaf}},
		{"nothing goes", proxy.Act{Kind: proxy.Mute}},
		{"line dark", proxy.Act{Kind: proxy.Dark, For: time.Duration(1000+random.IntN(3000)) * time.Millisecond}},
		{"sleep and wake", proxy.Act{Kind: proxy.Stall, For: time.Duration(100+random.IntN(3000)) * time.Millisecond}},
		{"drip", proxy.Act{Kind: proxy.Drip, Rate: 20 + random.Int64N(400)}},
		{"segments of one", proxy.Act{Kind: proxy.Tiny}},
		{"refused afterward", proxy.Act{Kind: proxy.Refuse, Connections: some}},
		{"captive portal", proxy.Act{Kind: proxy.Portal, Connections: some}},
	}
}

// phase is a moment of a sync with its name.
type phase struct {
	name string
	proxy.Place
}

// phases are the twenty moments of bar 5.
func phases(random *rand.Rand) []phase {
	at := func(command string, part proxy.Part, most int64) proxy.Place {
		return proxy.Place{Command: command, Part: part, Octet: 1 + random.Int64N(most)}
	}
	nth := func(p proxy.Place, most int) proxy.Place {
		p.Nth = 1 + random.IntN(most)
		return p
	}
	const name, signIn, search, fetch = "GREETING", "AUTHENTICATE", "UID SEARCH", "UID FETCH"
	return []phase{
		{"before the greeting", proxy.Place{Command: name, Part: proxy.Answer}},
		{"inside the greeting", at(name, proxy.Answer, 60)},
		{"behind the greeting", proxy.Place{Command: name, Part: proxy.Done}},
		{"inside AUTHENTICATE", at(signIn, proxy.Asked, 40)},
		{"AUTHENTICATE unanswered", proxy.Place{Command: signIn, Part: proxy.Sent}},
		{"inside its answer", at(signIn, proxy.Tagged, 60)},
		{"signed in", proxy.Place{Command: signIn, Part: proxy.Done}},
		{"inside ID", at("ID", proxy.Answer, 40)},
		{"LIST unanswered", proxy.Place{Command: "LIST", Part: proxy.Sent}},
		{"inside LIST", at("LIST", proxy.Answer, 200)},
		{"listed", proxy.Place{Command: "LIST", Part: proxy.Done}},
		{"inside EXAMINE", nth(at("EXAMINE", proxy.Answer, 120), 3)},
		{"examined", nth(proxy.Place{Command: "EXAMINE", Part: proxy.Done}, 3)},
		{"inside UID SEARCH", nth(at(search, proxy.Answer, 20), 3)},
		{"searched", nth(proxy.Place{Command: search, Part: proxy.Done}, 3)},
		{"UID FETCH half asked", nth(at(fetch, proxy.Asked, 25), 3)},
		{"behind {n} of a message", proxy.Place{Command: fetch, Part: proxy.Literal, Literal: 1 + random.IntN(3)}},
		{"inside the third message", proxy.Place{Command: fetch, Part: proxy.Literal, Literal: 3, Octet: 17 +
			random.Int64N(100)}},
		{"fetched", nth(proxy.Place{Command: fetch, Part: proxy.Done}, 3)},
		{"inside the answer to NOOP", nth(at("NOOP", proxy.Answer, 8), 2)},
	}
}

// hasty are limits in proportion to a machine that answers at once.
func hasty() imap.Limits {
	const soon = 2 * time.Second // less would be a fault of its own on a machine that is busy
	return imap.Limits{Connect: soon, TLS: soon, Greeting: soon, Auth: soon, Progress: soon, Window: soon}
}

// TestNetworkFaults is bar 5: twelve network faults at twenty phases, in a first sync and in one that finds
// changes, and the store is what the server holds. The default form is a sample in which every fault and every
// phase comes up.
func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	all := misfortunes(t)
	began := time.Now()
	tolls := make([]toll, len(all))
	sideBySide(len(all), func(i int) { tolls[i] = all[i].happens(t) })
	var sum toll
	for _, one := range tolls {
		sum.connections += one.connections
		sum.faults += one.faults
		sum.again += one.again
	}
	t.Logf("%d runs of 12 faults at 20 phases: %d connections, %d faults recorded, %d syncs that were asked for "+
		"again, in %v",
		len(all), sum.connections, sum.faults, sum.again, time.Since(began).Round(time.Millisecond))
}

// misfortunes are all 2,400, or each fault five times and each phase three times.
func misfortunes(t *testing.T) (all []misfortune) {
	base := form.Seed(t, 1)
	if !form.Long() {
		for i := range volume(60) {
			all = append(all, misfortune{i % 12, (i + int(base%20)) % 20, base + uint64(i)})
		}
		return all
	}
	for i := range 12 * 20 * 10 {
		all = append(all, misfortune{i % 12, i / 12 % 20, base + uint64(i)})
	}
	return all
}

// happens lets it happen in a sync.
func (m misfortune) happens(t *testing.T) toll {
	random := rand.New(rand.NewPCG(m.seed, 5))
	what, where := trouble(random)[m.act], phases(random)[m.phase]
	name := fmt.Sprintf("%s, %s, seed %d", what.name, where.name, m.seed)
	s := script.Start(t, script.Options{})
	defer s.Close()
	boxes := []string{"INBOX", "Box 1", "Box 2", "Box 3"}
	for _, box := range boxes {
		put(s, box, 6)
	}
	p := proxy.Start(t, net.JoinHostPort(s.Host(), strconv.Itoa(s.Port())), m.seed)
	defer p.Close()
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), hurried()).account("127.0.0.1", p.Port())
	defer w.close()
	if random.IntN(2) == 1 {
		if sum, _ := w.until(); sum.Result != Complete {
			t.Errorf("%s: the sync before: %+v", name, sum)
			return toll{}
		}
		stir(s, random, boxes)
	}
	before := p.Stats()
	p.Arm(where.Place, what.Act)
	sum, syncs := w.until()
	if sum.Result != Complete {
		t.Errorf("%s: %+v", name, sum)
	}
	if p.Disarm() > 0 {
		t.Errorf("%s: did not come", name)
	}
	if diff := truth.Diff(modelOf(s), w.lines()); len(diff) > 0 {
		t.Errorf("%s: %d lines differ, first: %v", name, len(diff), diff[:min(3, len(diff))])
	}
	if m.seed%4 == 0 {
		w.clean()
	}
	return toll{p.Stats().Connections - before.Connections, len(w.faults()), syncs - 1}
}

// toll is what a misfortune cost.
type toll struct{ connections, faults, again int }

// until syncs until everything has arrived, as a person would who sees that it has not: at most five times.
func (w *world) until() (sum Summary, syncs int) {
	for syncs = 1; ; syncs++ {
		if sum = w.sync(); sum.Result == Complete || syncs == 5 {
			return sum, syncs
		}
	}
}

// hurried are options that wait for nothing.
func hurried() Options {
	return Options{Limits: hasty(), backoff: quick, least: never, resend: time.Nanosecond}
}

// never is no least wait at all.
func never(policy.Wait, int) time.Duration { return 0 }

// stir is what another client does to every mailbox: mail comes, goes and changes its flags; one mailbox goes,
// one comes.
func stir(s *script.Server, random *rand.Rand, boxes []string) {
	s.Change(func(m *script.Model) {
		for _, name := range boxes {
			b := m.Box(name)
			uids := random.Perm(len(b.Messages))
			b.Flag(b.Messages[uids[0]].UID, `\Answered`)
			b.Expunge(b.Messages[uids[1]].UID, b.Messages[uids[2]].UID)
		}
		m.Drop(boxes[len(boxes)-1])
	})
	for _, name := range append(boxes[:len(boxes)-1:len(boxes)-1], "New") {
		put(s, name, 4)
	}
}
