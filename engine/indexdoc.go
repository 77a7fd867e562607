package engine

import (
	"strings"

	"mailcote/engine/message"
	"mailcote/storage"
)

// documentOf makes the index row of a message, its email apart.
func documentOf(v message.View) storage.IndexDoc {
	names := make([]string, len(v.Attachments))
	for i, a := range v.Attachments {
		names[i] = a.Name
	}
	return storage.IndexDoc{
		Subject: v.Subject, Text: v.Text, Attachments: strings.Join(names, "\n"),
		People: strings.Join([]string{people(v.From), people(v.To), people(v.Cc), people(v.Bcc)}, "\n"),
	}
}

// offer gives what was parsed for a batch, so that it need not be read again, and wakes the indexer. What does not fit is
// read from the store in its turn.
func (x *indexer) offer(rows []storage.EmailRow, docs []storage.IndexDoc) {
	x.mu.Lock()
	for i, row := range rows {
		size := len(docs[i].Text) + len(docs[i].People) + 256
		if _, have := x.ready[row]; row == 0 || have || x.held+size > readyBytes {
			continue
		}
		docs[i].Email = row
		x.ready[row] = docs[i]
		x.held += size
	}
	x.mu.Unlock()
	x.wake()
}

func (x *indexer) take(row storage.EmailRow) (storage.IndexDoc, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	doc, ok := x.ready[row]
	return doc, ok
}

// forget drops what is up to the watermark.
func (x *indexer) forget(upTo storage.EmailRow) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for row, doc := range x.ready {
		if row <= upTo {
			x.held -= len(doc.Text) + len(doc.People) + 256
			delete(x.ready, row)
		}
	}
}
