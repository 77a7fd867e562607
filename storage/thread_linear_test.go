//go:build unix

package storage_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"mailcote/storage"
	"mailcote/testkit/form"
)

// processor is the processor time that this process has used.
func processor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestThreadsLinear: what merging costs grows with the number of messages. Of three growing mailboxes the ids that
// changed are counted. The full form wants the processor time of a message to stay, too.
func TestThreadsLinear(t *testing.T) {
	sizes := []int{64, 256}
	if form.Long() {
		sizes = []int{10_000, 20_000, 40_000}
	}
	kinds := map[string]func(i, n int) []string{
		// a link comes late for each two neighbours, so one thread grows by merges of one
		"grows": func(i, n int) []string {
			if i < n/2 {
				return []string{strconv.Itoa(i)}
			}
			return []string{strconv.Itoa(i), strconv.Itoa(i - n/2), strconv.Itoa(i - n/2 + 1)}
		},
		// threads of equal size merge, then these
		"halves": func(i, n int) []string {
			if i < n/2 {
				return []string{strconv.Itoa(i)}
			}
			step, at := 1, i-n/2
			for width := n / 4; at >= width && width > 0; width /= 2 {
				at, step = at-width, step*2
			}
			return []string{strconv.Itoa(i), strconv.Itoa(2 * step * at), strconv.Itoa(2*step*at + step)}
		},
		// one message names up to 1,000 threads
		"names many": func(i, n int) []string {
			ids := []string{strconv.Itoa(i)}
			if span := min(1000, n/2); i%span == span-1 {
				for j := range span {
					ids = append(ids, strconv.Itoa(i-j))
				}
			}
			return ids
		},
	}
	kinds["conversations, shuffled"] = nil
	for kind, keys := range kinds {
		t.Run(kind, func(t *testing.T) {
			var least time.Duration // a message
			for _, n := range sizes {
				each := linear(t, n, keys)
				if form.Long() && n > sizes[0] && each > 2*least {
					t.Errorf("of %d messages each costs %v, of fewer %v", n, each, least)
				} else if n == sizes[0] || each < least {
					least = each
				}
			}
		})
	}
}

// linear stores n messages with the keys of a kind and gives the processor time of each.
func linear(t *testing.T, n int, keys func(i, n int) []string) time.Duration {
	t.Helper()
	all, order := make([]letter, n), make([]int, n)
	for i := range all {
		order[i] = i
		if keys != nil {
			all[i] = letter{raw: fmt.Appendf(nil, "Subject: tide\r\n\r\n%d\r\n", i),
				header: storage.Header{ThreadKeys: keys(i, n), BaseSubject: "tide"}}
		}
	}
	if keys == nil {
		random := rand.New(rand.NewPCG(1, 0))
		all = conversations(random, n)
		order = orders(random, all)["shuffled"]
	}
	began := processor(t)
	got, aliases := stored(t, all, order, false)
	each := (processor(t) - began) / time.Duration(n)
	threads := map[int]bool{}
	for _, thread := range got {
		threads[thread] = true
	}
	t.Logf("%d messages, %d threads, %d ids changed, processor %v a message", n, len(threads), aliases,
		each.Round(time.Microsecond))
	if most := float64(n) * math.Log2(float64(n)); float64(aliases) > most {
		t.Errorf("of %d messages %d ids changed, at most %.0f may", n, aliases, most)
	}
	if len(threads) > n/2 {
		t.Errorf("%d threads: nothing merged", len(threads))
	}
	return each
}
