// Package memory holds work back while the heap is near the process's memory limit (GOMEMLIMIT, debug.SetMemoryLimit).
//
// What always holds: without a limit nothing is held back; what is looked at is the live heap of the last collection, for garbage
// near a limit is the collector's business; while work is held back a collection is asked for at most once a second, since
// nothing else would make one; nobody is held back for longer than Patience, so that memory that never comes back stops nothing.
package memory
