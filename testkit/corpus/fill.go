package corpus

import (
	"fmt"
	"math/rand/v2"
)

// Mailboxes gives n mailbox names as people have them: nested, in several scripts; INBOX is first.
func Mailboxes(n int) []string {
	names := []string{"INBOX", "Archive", "Sent", "Lists/golang", "Projekte/Küche & Bad", "仕事/請求書", "Archive/2019",
		"Junk", "Trash", "Drafts", "Письма"}
	for i := len(names); i < n; i++ {
		names = append(names, fmt.Sprintf("Folders/%03d", i))
	}
	return names[:n]
}

// Fill generates n messages and gives each to put with its mailbox. Each
// mailbox gets a message as far as n reaches; the first ones get the most. It
// returns the sum of the sizes.
func Fill(seed uint64, n, mailboxes int, o Options, put func(mailbox string, m Message) error) (int64, error) {
	names := Mailboxes(max(1, mailboxes))
	r := rand.New(rand.NewPCG(seed, 0x66696c6c))
	var total int64
	i := 0
	for m := range Generate(seed, n, o) {
		at := i
		if i >= len(names) {
			// The smaller of two even draws: the first mailbox gets about twice
			// the average, the last one few.
			at = min(r.IntN(len(names)), r.IntN(len(names)))
		}
		if err := put(names[at], m); err != nil {
			return total, fmt.Errorf("corpus: message %d: %w", i, err)
		}
		total += int64(len(m.Raw))
		i++
	}
	return total, nil
}
