// Package copying makes whole copies of a store's file and puts one in a
// store's place.
//
// What always holds:
//
//   - A copy is one committed state: all of its pages are read in one
//     snapshot, also while another process writes.
//   - A copy is one file. It has no log, and its header says so.
//   - A copy is stamped: it holds the time and the epoch of the state that was
//     copied. Whoever opens it for writing begins a later epoch of the change
//     feed, because the original may have published other changes meanwhile.
//   - A file gets its name when it is whole, checked and on the disk.
//   - While a store is replaced, its path leads to the old one or to the new
//     one at every moment, and no log of the old one is beside the new one.
package copying
