package limit

import "time"

// SlotTime is the resolution at which a day's octets are counted.
const SlotTime = 10 * time.Minute

// dayTime is the window of Profile.Day.
const dayTime = 24 * time.Hour

// Slot is what arrived in the ten minutes from At.
type Slot struct {
	At    time.Time
	Bytes int64
}

// window counts octets in slots. A slot counts until all of it is older than a
// day.
type window struct {
	slots []Slot // ascending
}

func (w *window) add(now time.Time, n int64) {
	at := now.UTC().Truncate(SlotTime)
	for i := len(w.slots) - 1; i >= 0; i-- {
		if w.slots[i].At.Equal(at) {
			w.slots[i].Bytes += n
			return
		}
		if w.slots[i].At.Before(at) {
			w.slots = append(w.slots[:i+1], append([]Slot{{at, n}}, w.slots[i+1:]...)...)
			return
		}
	}
	w.slots = append([]Slot{{at, n}}, w.slots...)
}

// expire drops slots that no longer count. It also drops slots more than a day
// ahead, which a clock that was set back leaves behind.
func (w *window) expire(now time.Time) {
	kept := w.slots[:0]
	for _, s := range w.slots {
		if expiry(s).After(now) && s.At.Sub(now) < dayTime {
			kept = append(kept, s)
		}
	}
	w.slots = kept
}

// expiry returns when a slot stops counting.
func expiry(s Slot) time.Time { return s.At.Add(SlotTime + dayTime) }

func (w *window) used(now time.Time) (n int64) {
	w.expire(now)
	for _, s := range w.slots {
		n += s.Bytes
	}
	return n
}

// freeAt returns when at most most octets count, provided that nothing arrives
// until then.
func (w *window) freeAt(now time.Time, most int64) time.Time {
	n, at := w.used(now), now
	for _, s := range w.slots {
		if n <= most {
			break
		}
		n -= s.Bytes
		at = expiry(s)
	}
	return at
}
