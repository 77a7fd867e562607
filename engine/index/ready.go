package index

import "mailcote/storage"

// Offer hands over documents that were parsed and spelled already, so that they
// need not be read from the store again. It wakes the indexer. Documents over
// readyBytes are dropped and read in their turn.
func (x *Indexer) Offer(rows []storage.EmailRow, docs []storage.IndexDoc) {
	x.mu.Lock()
	for i, row := range rows {
		size := docs[i].Size()
		if _, have := x.ready[row]; row == 0 || have || x.readySize+size > readyBytes {
			continue
		}
		docs[i].Email = row
		x.ready[row] = docs[i]
		x.readySize += size
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

// forget drops the documents up to the last email of a batch. One that is
// dropped too early is read from the store.
func (x *Indexer) forget(upTo storage.EmailRow) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for row, doc := range x.ready {
		if row <= upTo {
			x.readySize -= doc.Size()
			delete(x.ready, row)
		}
	}
}
