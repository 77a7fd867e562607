package index

import "mailcote/storage"

// Offer gives what was parsed for a batch, so that it need not be read again,
// and wakes the indexer. What does not fit is read from the store in its turn.
func (x *Indexer) Offer(rows []storage.EmailRow, docs []storage.IndexDoc) {
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

func (x *Indexer) take(row storage.EmailRow) (storage.IndexDoc, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	doc, ok := x.ready[row]
	return doc, ok
}

// forget drops what is up to the last email of a batch. What is dropped too
// early is read from the store.
func (x *Indexer) forget(upTo storage.EmailRow) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for row, doc := range x.ready {
		if row <= upTo {
			x.held -= len(doc.Text) + len(doc.People) + 256
			delete(x.ready, row)
		}
	}
}
