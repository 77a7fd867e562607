package storage

// Weakened gives options for tests of power loss from outside this package.
func Weakened(vfs, synchronous string, pages int) Options {
	return Options{Holder: "test", vfs: vfs, weak: synchronous, pages: pages}
}

// Waiting is how many writes wait for their turn.
func (s *Store) Waiting() (n int) {
	return s.file.Waiting(Interactive) + s.file.Waiting(Bulk)
}
