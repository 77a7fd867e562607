package faultvfs

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// sector is what a disk writes whole.
const sector = 512

// Disk replays a log and gives what a power loss may leave of it. What was
// synced is durable. Each write or truncate since then is kept or dropped; a
// write may also be torn at a sector. Making and removing a file is durable at
// once: the loss of directory entries is not modelled.
type Disk struct {
	log   *Log
	at    int
	files map[string]*surface
}

// surface is one file: durable bytes, and what was done to it since its last sync.
type surface struct {
	durable []byte
	since   []pending
}

type pending struct {
	n  int // its number in the log
	op operation
}

// Disk gives the disk as it was when the recording began. The log must have been stopped.
func (l *Log) Disk() *Disk {
	d := &Disk{log: l, files: map[string]*surface{}}
	for name, bytes := range l.base {
		d.files[name] = &surface{durable: slices.Clone(bytes)}
	}
	return d
}

// Advance replays the log up to operation cut, without it. It only goes
// forward.
func (d *Disk) Advance(cut int) {
	for ; d.at < cut; d.at++ {
		op := d.log.ops[d.at]
		f := d.files[op.name]
		if f == nil && op.kind != deleted {
			f = &surface{}
			d.files[op.name] = f
		}
		switch op.kind {
		case written, truncated:
			f.since = append(f.since, pending{d.at, op})
		case synced:
			f.sync(op.before)
		case deleted:
			delete(d.files, op.name)
		}
	}
}

func (f *surface) sync(before int) {
	rest := f.since[:0]
	for _, p := range f.since {
		if p.n < before {
			f.durable = p.op.apply(f.durable)
		} else {
			rest = append(rest, p)
		}
	}
	f.since = rest
}

// apply does an operation to a file's bytes.
func (op operation) apply(bytes []byte) []byte {
	if op.kind == truncated {
		if op.offset <= int64(len(bytes)) {
			return bytes[:op.offset]
		}
		return append(bytes, make([]byte, op.offset-int64(len(bytes)))...)
	}
	if missing := op.offset + int64(len(op.bytes)) - int64(len(bytes)); missing > 0 {
		bytes = append(bytes, make([]byte, missing)...)
	}
	copy(bytes[op.offset:], op.bytes)
	return bytes
}

// Lose gives the files after a power loss at this moment.
func (d *Disk) Lose(random *rand.Rand) map[string][]byte {
	left := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(d.files)) { // one seed is one image
		f := d.files[name]
		bytes := slices.Clone(f.durable)
		for _, p := range f.since {
			if op, ok := p.op.survives(random); ok {
				bytes = op.apply(bytes)
			}
		}
		left[name] = bytes
	}
	return left
}

// survives draws what is left of an operation that was not synced.
func (op operation) survives(random *rand.Rand) (operation, bool) {
	switch random.IntN(3) {
	case 0:
		return op, true
	case 1:
		return op, false
	}
	if op.kind == truncated || len(op.bytes) <= sector {
		return op, random.IntN(2) == 0
	}
	at := sector * (1 + random.IntN((len(op.bytes)-1)/sector))
	if random.IntN(2) == 0 {
		op.bytes = op.bytes[:at]
	} else {
		op.offset, op.bytes = op.offset+int64(at), op.bytes[at:]
	}
	return op, true
}

// Place writes files into a directory, each readable by its owner only.
func Place(dir string, files map[string][]byte) error {
	for name, bytes := range files {
		if err := os.WriteFile(filepath.Join(dir, name), bytes, 0o600); err != nil {
			return err
		}
	}
	return nil
}
