// Command scale fills a store through the verbs of package storage, index
// included, and prints what each slice of messages costs and what reading costs
// in the end. It shows whether a large store is slower than a small one. Words
// are cut before, and a batch is indexed when it is stored: mailcote gathers up
// to 1,000 messages for that.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"mailcote/storage"
	"mailcote/storage/query"
)

type options struct {
	messages, slice, batch, bytes int
	seed                          uint64
	keep                          bool
}

func main() {
	var o options
	flag.IntVar(&o.messages, "messages", 1_000_000, "messages to store")
	flag.IntVar(&o.slice, "slice", 50_000, "messages a line of the table is about")
	flag.IntVar(&o.batch, "batch", 200, "messages a transaction stores")
	flag.IntVar(&o.bytes, "bytes", 300, "bytes of text in a message")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the messages")
	flag.BoolVar(&o.keep, "keep", false, "keep the store, and say where it is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, o options) (err error) {
	if o.messages < 1 || o.slice < 1 || o.batch < 1 || o.bytes < 1 {
		return fmt.Errorf("messages, slice, batch and bytes start at 1")
	}
	dir, err := os.MkdirTemp("", "scale")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "mail.db")
	if o.keep {
		fmt.Fprintln(out, "store:", path)
	} else {
		defer os.RemoveAll(dir) //nolint:errcheck // it is a temporary one
	}
	if err := fill(ctx, out, path, o); err != nil {
		return err
	}
	return look(ctx, out, path, o)
}

// cost is what something took.
type cost struct {
	wall, cpu time.Duration
}

// measure runs fn.
func measure(fn func() error) (c cost, err error) {
	at, cpu := time.Now(), used()
	err = fn()
	return cost{time.Since(at), used() - cpu}, err
}

func (c *cost) add(o cost) { c.wall, c.cpu = c.wall+o.wall, c.cpu+o.cpu }

// fill makes the store slice by slice.
func fill(ctx context.Context, out io.Writer, path string, o options) error {
	s, err := storage.Open(ctx, path, storage.Options{Holder: "bench/scale"})
	if err != nil {
		return err
	}
	f, err := newFilling(ctx, s, o)
	if err != nil {
		return closed(s, err)
	}
	defer f.packer.Close() //nolint:errcheck // it frees memory only
	// The bytes are of the store and its log, a message; RSS is the peak so far.
	fmt.Fprintf(out, "%9s  %8s %6s  %8s %6s  %6s  %6s\n", "messages", "store s", "CPU s", "index s", "CPU s", "bytes",
		"RSS MB")
	size := int64(0)
	for done := 0; done < o.messages; {
		from := done
		var stored, indexed cost
		for done < min(from+o.slice, o.messages) {
			n := min(o.batch, from+o.slice-done, o.messages-done)
			batch, docs := f.make(done, n)
			c, err := measure(func() error { return f.store(ctx, batch, docs) })
			if stored.add(c); err != nil {
				return closed(s, err)
			}
			c, err = measure(func() error {
				return s.WriteAlone(ctx, func(w *storage.Writer) error { return w.IndexDocs(docs) })
			})
			if indexed.add(c); err != nil {
				return closed(s, err)
			}
			done += n
		}
		now := onDisk(path)
		fmt.Fprintf(out, "%9d  %8.1f %6.1f  %8.1f %6.1f  %6d  %6d\n", done, stored.wall.Seconds(), stored.cpu.Seconds(),
			indexed.wall.Seconds(), indexed.cpu.Seconds(), (now-size)/int64(done-from), peak()>>20)
		size = now
	}
	return s.Close()
}

func closed(s *storage.Store, err error) error {
	s.Close() //nolint:errcheck // what comes first is said
	return err
}

// onDisk is the size of the store and its log.
func onDisk(path string) (n int64) {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// look reads the store as a person does who has just opened it.
func look(ctx context.Context, out io.Writer, path string, o options) error {
	var s *storage.Store
	table := tabwriter.NewWriter(out, 8, 0, 2, ' ', 0)
	note := func(name string, fn func() (int64, error)) error {
		var n int64
		c, err := measure(func() (err error) { n, err = fn(); return err })
		fmt.Fprintf(table, "%s\t%.1f ms\t%.1f ms CPU\t%d\t\n", name, milli(c.wall), milli(c.cpu), n)
		return err
	}
	fmt.Fprintln(table)
	if err := note("open to read", func() (n int64, err error) {
		s, err = storage.Open(ctx, path, storage.Options{ReadOnly: true})
		return 0, err
	}); err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // it was only read
	reading := func(fn func(*storage.Reader) (int64, error)) func() (int64, error) {
		return func() (n int64, err error) {
			err = s.Read(ctx, func(r *storage.Reader) error { n, err = fn(r); return err })
			return n, err
		}
	}
	if err := note("counts", reading(func(r *storage.Reader) (int64, error) {
		c, err := r.Count()
		return c.Emails, err
	})); err != nil {
		return err
	}
	if err := note("UIDs of the mailbox", reading(func(r *storage.Reader) (int64, error) {
		uids, err := r.UIDs(1, validity, int64(o.messages))
		return int64(len(uids)), err
	})); err != nil {
		return err
	}
	day := start.AddDate(0, 0, 10).Format(time.DateOnly)
	next := start.AddDate(0, 0, 11).Format(time.DateOnly)
	for _, text := range []string{"", common, word(rareWord), "in:inbox", "after:" + day + " before:" + next,
		"is:flagged",
		"is:unread " + common} {
		q, err := query.Parse(text, time.UTC)
		if err != nil {
			return err
		}
		if err := note(fmt.Sprintf("first page of %q", text), reading(func(r *storage.Reader) (int64, error) {
			found, err := r.Search(q, 0, 50)
			return int64(len(found)), err
		})); err != nil {
			return err
		}
	}
	fmt.Fprintf(table, "on disk\t%.1f MB\t\t%d\t\n", float64(onDisk(path))/1e6, onDisk(path))
	fmt.Fprintf(table, "peak RSS\t%.1f MB\t\t\t\n", float64(peak())/1e6)
	return table.Flush()
}

func milli(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
