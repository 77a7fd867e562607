package engine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/storage"
	"mailcote/testkit/script"
)

// TestOthersFirst: after the account rested because of a mailbox, whatever its rank, the others have their turn
// before it is asked again.
func TestOthersFirst(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprint("direct ", direct), func(t *testing.T) {
			t.Parallel()
			s, w := several(t, script.Options{}, Options{Direct: direct, least: func(policy.Wait, int) time.Duration {
				return 0
			}}, "Archive", "Bulk", "Junk")
			s.Misbehave(script.Faults{On: on(asks("INBOX", "EXAMINE"),
				"NO [OVERQUOTA] Account exceeded command or bandwidth limits")})
			for range 2 {
				w.sync()
			}
			if got := w.stored("Archive") + w.stored("Bulk") + w.stored("Junk"); got != "222" {
				t.Errorf("stored %s", got)
			}
			s.Misbehave(script.Faults{})
			w.complete()
			w.equals(s)
		})
	}
}

// order notes whose bodies are asked for, each mailbox when it is not the one before.
func order(s *script.Server, limit func(script.Command) script.Action) func() string {
	var mu sync.Mutex
	var all []string
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name != "UID FETCH" || !strings.Contains(c.Args, "BODY") {
			return script.Answer
		}
		mu.Lock()
		defer mu.Unlock()
		if len(all) == 0 || all[len(all)-1] != c.Box {
			all = append(all, c.Box)
		}
		return limit(c)
	}})
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, " ")
	}
}

// TestProgressKeepsPlace: a mailbox that got further before its account rested goes on where it was, and so does
// one where the rest was our own decision.
func TestProgressKeepsPlace(t *testing.T) {
	t.Run("further", func(t *testing.T) {
		t.Parallel()
		s, w := several(t, script.Options{}, Options{least: func(policy.Wait, int) time.Duration {
			return 0
		}}, "Archive", "Bulk")
		put(s, "INBOX", 600)
		pages := 0
		asked := order(s, func(c script.Command) script.Action {
			if pages++; pages == 2 {
				return "NO [OVERQUOTA] Account exceeded command or bandwidth limits"
			}
			return script.Answer
		})
		w.sync()
		w.complete()
		if got := asked(); got != "INBOX Archive Bulk" {
			t.Errorf("asked for %s", got)
		}
		w.equals(s)
	})
	t.Run("planned", func(t *testing.T) {
		t.Parallel()
		s, w := several(t, script.Options{Capabilities: gmailCapabilities}, Options{}, "Archive", "Bulk")
		over := time.Now().Add(3 * time.Second)
		if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
			if err := tx.SetServer(w.id, "", gmailCapabilities); err != nil {
				return err
			}
			used := []storage.RateSlot{{At: over.Add(-24*time.Hour - 10*time.Minute), Bytes: 2_499_999_900}}
			return tx.PutRates(w.id, nil, used, time.Now())
		}); err != nil {
			t.Fatal(err)
		}
		asked := order(s, func(script.Command) script.Action { return script.Answer })
		w.runs()
		if got := asked(); got != "INBOX Archive Bulk" || time.Now().Before(over) {
			t.Errorf("asked for %s", got)
		}
		w.equals(s)
	})
}
