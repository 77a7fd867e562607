package secret

import (
	"context"
	"hash/maphash"
	"io/fs"
	"os"
	"time"
)

// settled is how old a change of a password file must be. A younger one may be
// half written.
const settled = time.Second

// Reading is a password file as it was when its password was read. It tells a
// corrected file from the same one and holds no password.
type Reading struct {
	// Modified is the file's modification time. It is zero if no password
	// could be read.
	Modified time.Time

	file fs.FileInfo // nil: another process read it, and only Modified is known
	seed maphash.Seed
	sum  uint64 // of the password, by a seed that this process made up; 0: unknown
}

// Reads looks at a file before its password is read. ok is false unless r names
// a file. Only a regular file can be looked at: a pipe gives its password once.
func (r Ref) Reads() (now Reading, ok bool) {
	if r.Kind != File {
		return now, false
	}
	if info, err := os.Stat(r.Value); err == nil && info.Mode().IsRegular() {
		now.file, now.Modified = info, info.ModTime()
	}
	return now, true
}

// Gave completes a reading with what it gave. Changes are told from the file as
// it was before, so one that comes in between is not missed.
func (r Reading) Gave(password Secret, err error) Reading {
	if err != nil {
		return Reading{}
	}
	r.seed = maphash.MakeSeed()
	r.sum = maphash.String(r.seed, password.Reveal())
	return r
}

// Corrected reports whether a file has changed since the reading and holds
// another password. later is the reading to compare with from then on: a file
// that was only touched is not read again.
func (r Reading) Corrected(ctx context.Context, ref Ref) (later Reading, corrected bool) {
	now, ok := ref.Reads()
	if !ok || now.file == nil || r.sum != 0 && r.same(now) {
		return r, false
	}
	if age := time.Since(now.Modified); age >= 0 && age < settled {
		return r, false
	}
	password, err := fromFile(ctx, ref.Value)
	if err != nil {
		return r, false
	}
	if r.same(now) || r.sum != 0 && maphash.String(r.seed, password.Reveal()) == r.sum {
		return now.Gave(password, nil), false
	}
	return r, true
}

// same reports whether a file is as it was at the reading.
func (r Reading) same(now Reading) bool {
	if !r.Modified.Equal(now.Modified) {
		return false
	}
	return r.file == nil || os.SameFile(r.file, now.file) && r.file.Size() == now.file.Size()
}
