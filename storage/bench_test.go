package storage

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/storage/query"
)

// words draws from 20 000 words as language does: few are common, most are rare.
type words struct {
	r    *rand.Rand
	zipf *rand.Zipf
}

func newWords(seed uint64) *words {
	r := rand.New(rand.NewPCG(seed, 1))
	return &words{r: r, zipf: rand.NewZipf(r, 1.1, 4, 20_000)}
}

func (w *words) text(n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "w%x ", w.zipf.Uint64()*2654435761%99_999_989)
	}
	return b.String()
}

// fill stores n mails of about size bytes in batches of 100 and gives the time the writes took.
func (b *bed) fill(box MailboxID, n, size int) time.Duration {
	var took time.Duration
	w := newWords(uint64(size))
	for first := 1; first <= n; first += 100 {
		batch := Batch{Mailbox: box, Validity: 7, Cover: []Range{{UID(first), UID(first + 99)}}}
		for uid := first; uid < first+100; uid++ {
			text := w.text(size)
			a := b.arrivalOf(UID(uid), []byte(fmt.Sprintf("Message-ID: <%d@example.org>\r\n\r\n%s", uid, text)), uid)
			a.InternalDate = time.Unix(1_700_000_000-int64(uid)*60, 0) // newest first, as a sync brings it
			a.Header.Preview = text[:min(len(text), 200)]
			a.Header.Subject = text[:40]
			a.Header.HasAttachment = uid%20 == 0
			if uid%3 == 0 {
				a.Header.ThreadKeys = append(a.Header.ThreadKeys, fmt.Sprintf("<%d@example.org>", uid-1))
			}
			if uid%10 != 0 {
				a.Flags = `\Seen`
			}
			batch.Arrivals = append(batch.Arrivals, a)
		}
		start := time.Now()
		if err := b.Write(context.Background(), Bulk, batch.Size(), func(w *Writer) error {
			_, err := w.StoreBatch(batch)
			return err
		}); err != nil {
			b.t.Fatal(err)
		}
		took += time.Since(start)
	}
	return took
}

// BenchmarkStore writes 20 000 mails; MAILCOTE_BENCH_SIZE is their size in bytes (2000).
func BenchmarkStore(b *testing.B) {
	size := 2000
	if text := os.Getenv("MAILCOTE_BENCH_SIZE"); text != "" {
		if _, err := fmt.Sscan(text, &size); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		bed := newBed(b)
		box := bed.mailbox("INBOX", 7)
		took := bed.fill(box, 20_000, size)
		b.ReportMetric(took.Seconds(), "write-s")
		write(b, bed.Store, func(*Writer) error { return nil })
		info, err := os.Stat(bed.Path())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB")
		b.ReportMetric(float64(number(b, bed.Store, "SELECT sum(stored) FROM blob"))/1e6, "MB-stored")
		start := time.Now()
		r := rand.New(rand.NewPCG(1, 2))
		for range 2000 {
			if err := bed.Read(context.Background(), func(rd *Reader) error {
				body, _, err := rd.OpenBlob(BlobID(1 + r.IntN(20_000)))
				if err != nil {
					return err
				}
				defer body.Close() //nolint:errcheck // it frees memory only
				_, err = io.Copy(io.Discard, body)
				return err
			}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/2000, "µs/read")
	}
}

// BenchmarkSearch asks 100 000 indexed mails of 1 kB, words and then every other clause; MAILCOTE_BENCH_STORE keeps the
// store for the next time.
func BenchmarkSearch(b *testing.B) {
	path := os.Getenv("MAILCOTE_BENCH_STORE")
	if path == "" {
		path = filepath.Join(b.TempDir(), "mail.db")
	}
	s := openAt(b, path, Options{})
	if number(b, s, "SELECT count(*) FROM account") == 0 {
		bed := bedOn(b, s)
		b.Logf("storing took %s", bed.fill(bed.mailbox("INBOX", 7), 100_000, 1000))
		start := time.Now()
		w := newWords(7)
		bed.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Subject: w.text(40), Text: w.text(1000)} })
		b.Logf("indexing took %s", time.Since(start))
		bed.fill(bed.mailbox("Archive", 7), 3000, 1000)
		bed.fill(bed.mailbox("Lists/Go", 7), 300, 1000)
	}
	b.Logf("the index takes %.1f MB", float64(number(b, s, `SELECT sum(length(block)) FROM search_data`))/1e6)
	w := newWords(99)
	queries := []string{"is:unread", "is:flagged", "after:2023-11-01", "from:ada", "-w0", "message",
		"from:ada is:flagged"}
	for rank := range 12 { // from the most common word to rare ones
		queries = append(queries, fmt.Sprintf("w%x", uint64(1<<rank-1)*2654435761%99_999_989))
	}
	for range 20 {
		queries = append(queries, strings.TrimSpace(w.text(12)), strings.TrimSpace(w.text(5)))
	}
	common, rare := queries[7], queries[16]
	clauses := []string{"in:inbox", "in:archive", "in:go", "in:nowhere", "-in:archive", "in:archive larger:1M",
		"in:go is:unread",
		"account:ada", "account:nobody", "has:attachment", "-has:attachment", "larger:1M", "larger:1k", "smaller:900",
		"older_than:1y", "newer_than:1d", "after:2023-11-01 before:2023-11-02", "cc:ada", "bcc:ada", "filename:pdf",
		"is:unread OR is:flagged", "(" + common + " OR is:unread) has:attachment", "-(" + common + " OR is:unread)",
		rare + " OR has:attachment", rare + " OR larger:1M", "(" + rare + " " + common + ") OR in:go",
		"from:(ada OR bob)", "-from:(ada OR bob)", common + " in:archive", common + " -in:inbox", rare + " -in:inbox",
		"🎉", "東京", "is:unread larger:1M", common + " larger:1M"}
	measure := func(name string, queries []string, count bool) {
		var all []time.Duration
		for _, text := range queries {
			q, err := query.Parse(text, time.UTC)
			if err != nil {
				b.Fatal(err)
			}
			start, n := time.Now(), int64(0)
			read(b, s, func(r *Reader) error {
				found, err := r.Search(q, 0, 50)
				n = int64(len(found))
				if count && n == 50 && err == nil {
					n, err = r.CountHits(q, 0)
				}
				return err
			})
			took := time.Since(start)
			if testing.Verbose() {
				b.Logf("%-32s %6d  %s", text, n, took)
			}
			all = append(all, took)
		}
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"ms-p50")
		b.ReportMetric(float64(all[len(all)*95/100].Microseconds())/1000, name+"ms-p95")
		b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, name+"ms-max")
	}
	for b.Loop() {
		measure("", queries, false)
		measure("clauses-", clauses, false)
		measure("counted-", slices.Concat(queries, clauses), true)
	}
}
