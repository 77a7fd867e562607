// Package salvage saves what can be read of a damaged store into a new one.
// Nothing is repaired in place: what is damaged is kept as it was found.
//
// What always holds:
//
//   - Only what verifies is taken over: a message by its digest, an entry by
//     its message, everything a message says by a fresh parse. Coverage is for
//     what is there; passes, watermarks and the queue start anew, so the next
//     sync fetches the rest.
//   - Identity stays where it could be read: row keys, JMAP ids, the store's
//     id. The change feed is a new epoch.
//   - A kill at any point leaves the old store or the new one. The new one is
//     whole on the disk before it gets the name <store>.salvaged, which
//     decides; from then on whoever owns the store next puts it in place
//     (Finish) before anything else.
//   - Finish replaces only a store of which a kept copy is the same to the
//     byte, and only by what opens as a store. Else nothing is changed.
//   - The caller holds the lock of package owner and has no handle open on the
//     store.
//
// Faults served: FAULTS L6.
package salvage
