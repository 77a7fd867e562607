package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"mailcote/storage"
)

const (
	validity = 7
	words    = 20_000
	common   = "mail"
	rareWord = words - 7
)

// start is when the first message came; one comes each minute.
var start = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// filling makes mail and stores it in one mailbox.
type filling struct {
	s      *storage.Store
	o      options
	packer *storage.Packer
	box    storage.MailboxID
	random *rand.Rand
	zipf   *rand.Zipf
}

func newFilling(ctx context.Context, s *storage.Store, o options) (*filling, error) {
	packer, err := storage.NewPacker()
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(o.seed, 1))
	f := &filling{s: s, o: o, packer: packer, random: random, zipf: rand.NewZipf(random, 1.1, 4, words)}
	return f, s.Write(ctx, storage.Interactive, 0, func(w *storage.Writer) error {
		account, err := w.AddAccount(storage.Account{Name: "ada", User: "ada", Host: "localhost", Port: 143,
			Security: "plain"})
		if err != nil {
			return err
		}
		if f.box, err = w.PutMailbox(storage.Mailbox{Account: account, Raw: "INBOX", Path: "INBOX", Delimiter: "/",
			Selectable: true, Priority: 9, Role: "inbox"}); err != nil {
			return err
		}
		return w.OpenGeneration(f.box, validity, 1, int64(o.messages))
	})
}

// word is one of the vocabulary, the more common the smaller its rank.
func word(rank uint64) string { return fmt.Sprintf("w%x", rank*2654435761%99_999_989) }

// text is made of words as language is: few are common, most are rare.
func (f *filling) text(n int) string {
	var b strings.Builder
	b.WriteString(common)
	for b.Len() < n {
		b.WriteByte(' ')
		b.WriteString(word(f.zipf.Uint64()))
	}
	return b.String()
}

// make makes the n messages after the first done.
func (f *filling) make(done, n int) (storage.Batch, []storage.IndexDoc) {
	first := storage.UID(done + 1)
	batch := storage.Batch{Mailbox: f.box, Validity: validity,
		Cover: []storage.Range{{Lo: first, Hi: first + storage.UID(n) - 1}}}
	docs := make([]storage.IndexDoc, 0, n)
	for i := done; i < done+n; i++ {
		text, subject, id := f.text(f.o.bytes), f.text(30), fmt.Sprintf("<%d@example.org>", i)
		at := start.Add(time.Duration(i) * time.Minute)
		raw := fmt.Appendf(nil,
			"Message-ID: %s\r\nSubject: %s\r\nFrom: Ada <ada@example.org>\r\nDate: %s\r\n\r\n%s\r\n",
			id, subject, at.Format(time.RFC1123Z), text)
		a := storage.Arrival{UID: storage.UID(i + 1), ModSeq: 1, InternalDate: at, Body: f.packer.Pack(raw),
			Header: storage.Header{MessageID: id, ThreadKeys: []string{id}, Subject: subject, BaseSubject: subject,
				Sender: "Ada <ada@example.org>", SentAt: at, Preview: text[:min(len(text), 200)]}}
		if i%3 == 2 { // every third answers the one before
			a.Header.ThreadKeys = append(a.Header.ThreadKeys, fmt.Sprintf("<%d@example.org>", i-1))
		}
		var flags []string
		if i%20 != 0 {
			flags = append(flags, `\Seen`)
		}
		if i%500 == 0 {
			flags = append(flags, `\Flagged`)
		}
		a.Flags = storage.NewFlags(flags)
		batch.Arrivals = append(batch.Arrivals, a)
		docs = append(docs, storage.IndexDoc{Subject: subject, From: a.Header.Sender, Text: text}.Spelled())
	}
	return batch, docs
}

// store stores a batch and notes whose documents these are.
func (f *filling) store(ctx context.Context, batch storage.Batch, docs []storage.IndexDoc) error {
	return f.s.Write(ctx, storage.Bulk, batch.Size(), func(w *storage.Writer) error {
		done, err := w.StoreBatch(batch)
		for i, email := range done.Emails {
			docs[i].Email = email
		}
		return err
	})
}
