package engine

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

const lateLater = "NO [SERVERBUG] Server error - Please try again later"

// TestWordsOfOneMailbox: words that need not be about the account stop the mailbox whose command they answer, and
// the others are complete in the same pass.
func TestWordsOfOneMailbox(t *testing.T) {
	for _, command := range []string{"EXAMINE", "UID SEARCH", "UID FETCH", "STATUS"} {
		for _, answer := range []script.Action{lateLater, "NO [UNAVAILABLE] not this one", "NO [LIMIT] so much",
			"NO Service is temporarily not available", "BAD Server Unavailable. 15", "NO [X] OCF12"} {
			if command == "UID FETCH" && answer == lateLater { // words about a message there
				continue
			}
			t.Run(command+" "+string(answer), func(t *testing.T) {
				t.Parallel()
				s, w := several(t, script.Options{Capabilities: plainCaps}, Options{}, "Archive", "Bulk", "Later")
				incomplete := 1
				if command == "STATUS" { // the mailbox is opened all the same
					w.complete()
					incomplete = 0
					for _, box := range []string{"INBOX", "Archive", "Bulk", "Later"} {
						put(s, box, 1)
					}
				}
				s.Misbehave(script.Faults{On: on(asks("Bulk", command), answer)})
				sum := w.sync()
				want := map[bool]string{true: Complete, false: Partial}[incomplete == 0]
				if sum.Result != want || sum.Class != "" || w.rests() != "" || w.meter().Pace() != 1 {
					t.Errorf("%+v, rests %q, pace %v", sum, w.rests(), w.meter().Pace())
				}
				s.Change(func(m *script.Model) {
					for _, b := range m.Boxes {
						if n := w.stored(b.Name); n != strconv.Itoa(len(b.Messages)) &&
							(b.Name != "Bulk" || incomplete == 0) {
							t.Errorf("%s: %s messages of %d", b.Name, n, len(b.Messages))
						}
					}
				})
				if n := s.Connections(); n > 2 {
					t.Errorf("%d connections", n)
				}
				for _, f := range w.faults() {
					if f.Class != "mailbox" || f.Scope != "mailbox" ||
						!strings.Contains(f.NextStep, "other mailboxes go on") {
						t.Errorf("%+v", f)
					}
				}
				s.Misbehave(script.Faults{})
				w.complete()
				w.equals(s)
			})
		}
	}
}

// TestWordsOfTheAccount: the same words are the account's when a second mailbox says them, or when there is no
// other; and words that name a limit of the account are at once.
func TestWordsOfTheAccount(t *testing.T) {
	const throttled, connections = "NO [THROTTLED] slowly", "NO [LIMIT] Too many simultaneous connections"
	for _, test := range []struct {
		answer script.Action
		boxes  []string
		opened int // mailboxes, until the account rests
		class  class.Class
	}{
		{lateLater, []string{"Archive", "Bulk", "Later"}, 2, class.Quota},
		{lateLater, nil, 1, class.Quota},
		{"NO [UNAVAILABLE] later", []string{"Archive", "Bulk", "Later"}, 2, class.Network},
		{throttled, []string{"Archive", "Bulk", "Later"}, 1, class.Quota},
		{connections, []string{"Archive", "Bulk", "Later"}, 1, class.Quota},
		{"BAD Request is throttled. Suggested Backoff Time: 60000 milliseconds", []string{"Archive", "Bulk"}, 1,
			class.Quota},
		{"NO [OVERQUOTA] Account exceeded command or bandwidth limits", []string{"Archive", "Bulk"}, 1, class.Quota},
	} {
		t.Run(fmt.Sprint(test.answer, len(test.boxes)), func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{least: func(policy.Wait, int) time.Duration {
				return time.Hour
			}}, test.boxes...)
			s.Misbehave(script.Faults{On: on(func(c script.Command) bool { return c.Name == "EXAMINE" }, test.answer)})
			sum := w.sync()
			if sum.Result != Failed || sum.Class != test.class || s.Count("EXAMINE") != test.opened || w.rests() == "" {
				t.Errorf("%d mailboxes opened, rests %q, %+v", s.Count("EXAMINE"), w.rests(), sum)
			}
		})
	}
}

// TestWordsForgotten: useful work between the words of two mailboxes says that the account is served.
func TestWordsForgotten(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive", "Bulk", "Later", "Old")
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return c.Name == "EXAMINE" && (strings.Contains(c.Args, "Archive") || strings.Contains(c.Args, "Later"))
	}, lateLater)})
	if sum := w.sync(); sum.Result != Partial || w.rests() != "" || w.stored("Bulk")+w.stored("Old") != "22" {
		t.Errorf("rests %q, %+v", w.rests(), sum)
	}
	var words health.Words
	now := time.Now()
	for i, step := range []struct {
		at      time.Duration
		mailbox storage.MailboxID
		said    string
		too     bool
	}{
		{0, 1, "a", false}, {0, 1, "a", false}, {0, 2, "b", false}, {0, 3, "a", true}, {time.Hour, 4, "a", false},
		{time.Hour, 5, "a", true},
	} {
		if words.Say(now.Add(step.at), "account:1", step.mailbox, step.said) != step.too {
			t.Errorf("step %d", i)
		}
	}
	if words.Say(now.Add(time.Hour), "account:2", 6, "a") {
		t.Error("words of another account count")
	}
	words.Forget("account:1")
	if words.Say(now.Add(time.Hour), "account:1", 7, "a") {
		t.Error("words are not forgotten")
	}
}

// TestRawInOneMailbox: what one mailbox answers to an interactive command does
// not rest the account.
func TestRawInOneMailbox(t *testing.T) {
	s, w, q := aside(t)
	put(s, "Archive", 1)
	w.sync()
	s.Misbehave(script.Faults{On: on(asks("INBOX", "EXAMINE"), lateLater)})
	if _, got := w.raws(q); got != class.Quota || w.rests() != "" {
		t.Errorf("%q, rests %q", got, w.rests())
	}
	if f := w.faults()[0]; f.Class != "mailbox" {
		t.Errorf("%+v", f)
	}
}

// TestSearchRefused: a NO to SEARCH, and to the FETCH in its place, is an answer in a session that lives: it is tried
// again without another sign-in, and given up.
func TestSearchRefused(t *testing.T) {
	s, w := several(t, script.Options{}, Options{}, "Archive", "Bulk")
	s.Misbehave(script.Faults{On: on(func(c script.Command) bool {
		return listsAll(c) && c.Box == "Archive"
	}, "NO no such message")})
	sum := w.sync()
	if sum.Result != Partial || s.Connections() != 1 || w.stored("Bulk") != "2" || w.stored("INBOX") != "2" {
		t.Errorf("%d connections, %+v", s.Connections(), sum)
	}
	if f := w.faults(); len(f) != 5 || f[0].Class != "protocol" || strings.Contains(f[0].NextStep, "new connection") {
		t.Errorf("%d faults, %+v", len(f), f)
	}
	findings, err := w.engine.CheckRemote(t.Context(), RemoteOptions{Accounts: []storage.Account{w.find()}})
	if err != nil || len(findings) != 1 || findings[0].What != "not compared" ||
		!strings.Contains(findings[0].Where, "Archive") {
		t.Errorf("%+v, %v", findings, err)
	}
}
