package faultvfs

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
)

// The operations that can fail and are counted.
const (
	Open     = "open"
	Read     = "read"
	Write    = "write"
	Truncate = "truncate"
	Sync     = "sync"
	Delete   = "delete"
	Lock     = "lock"
	Map      = "map" // of shared memory, which a longer log makes longer; its files have the name of the database
)

// Operations gives them all.
func Operations() []string { return []string{Open, Read, Write, Truncate, Sync, Delete, Lock, Map} }

// SQLite's result codes that tests inject most; any other nonzero code may be given.
const (
	// SQLITE_READONLY; of Open: the file opens, and only for reading, as where this user may not write it
	ReadOnly      = 8
	Full          = 13        // SQLITE_FULL: no space left
	CantOpen      = 14        // SQLITE_CANTOPEN
	IOErrRead     = 10 | 1<<8 // SQLITE_IOERR_READ
	IOErrWrite    = 10 | 3<<8 // SQLITE_IOERR_WRITE
	IOErrSync     = 10 | 4<<8 // SQLITE_IOERR_FSYNC
	IOErrTruncate = 10 | 6<<8 // SQLITE_IOERR_TRUNCATE
	IOErrDelete   = 10 | 10<<8
	IOErrLock     = 10 | 15<<8
	IOErrShmSize  = 10 | 19<<8 // SQLITE_IOERR_SHMSIZE: no room to make the shared memory longer
)

const always = math.MaxInt

type rule struct {
	op, suffix string
	nth, times int
	code       int32
	seen       int
	hold       func() // waits, instead of failing
}

// faults is the state behind the callbacks.
type faults struct {
	mu    sync.Mutex
	rules []*rule
	calls map[call]int
	fired int
	log   *Log // nil: nothing is recorded
}

type call struct{ op, name string }

// Fail makes the nth call (from 1, counted from now) of op on files whose name
// ends in suffix ("" is every file) return code, once. The first fault that
// applies decides. It panics on an operation that does not exist.
func Fail(op, suffix string, nth, code int) { state.add(op, suffix, nth, 1, code, nil) }

// FailFrom is Fail for the nth call and every one after it, until Reset: a disk that stays full.
func FailFrom(op, suffix string, nth, code int) { state.add(op, suffix, nth, always, code, nil) }

// Hold makes the nth call wait until release is called, as on a disk that
// hangs. reached is closed when it waits.
func Hold(op, suffix string, nth int) (reached <-chan struct{}, release func()) {
	there, free := make(chan struct{}), make(chan struct{})
	state.add(op, suffix, nth, 1, 0, func() {
		close(there)
		<-free
	})
	return there, sync.OnceFunc(func() { close(free) })
}

// Calls says how often op was called on files whose name ends in suffix since the last Reset, failed calls included.
func Calls(op, suffix string) int {
	state.mu.Lock()
	defer state.mu.Unlock()
	sum := 0
	for c, n := range state.calls {
		if c.op == op && strings.HasSuffix(c.name, suffix) {
			sum += n
		}
	}
	return sum
}

// Fired says how many calls were made to fail since the last Reset. A test checks it: a fault that never happened
// proves nothing.
func Fired() int {
	state.mu.Lock()
	defer state.mu.Unlock()
	return state.fired
}

// Reset ends all faults and sets every count to zero. Files stay open.
func Reset() {
	state.mu.Lock()
	defer state.mu.Unlock()
	state.rules, state.calls, state.fired = nil, make(map[call]int), 0
}

func (f *faults) add(op, suffix string, nth, times, code int, hold func()) {
	known := slices.Contains(Operations(), op)
	if !known || nth < 1 || code == 0 && hold == nil {
		panic(fmt.Sprintf("faultvfs: cannot fail call %d of %q with code %d", nth, op, code))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, &rule{op: op, suffix: suffix, nth: nth, times: times, code: int32(code), hold: hold})
}

// judge counts a call and gives the code it fails with, 0 to go on.
func (f *faults) judge(op, name string) int32 {
	code, hold := f.verdict(op, name)
	if hold != nil {
		hold()
	}
	return code
}

func (f *faults) verdict(op, name string) (code int32, hold func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[call{op, name}]++
	for _, r := range f.rules {
		if r.op != op || !strings.HasSuffix(name, r.suffix) {
			continue
		}
		r.seen++
		if code == 0 && hold == nil && r.seen >= r.nth && r.seen-r.nth < r.times {
			code, hold = r.code, r.hold
			f.fired++
		}
	}
	return code, hold
}
