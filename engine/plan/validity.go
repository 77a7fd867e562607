package plan

import "mailcote/storage"

// sampleSize is how many stored messages show whether UIDs still mean what they
// meant.
const sampleSize = 10

// Sample picks the first of n things, the last, and some in between.
func Sample(n int) []int {
	if n <= sampleSize {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	all := make([]int, sampleSize)
	for i := range all {
		all[i] = i * (n - 1) / (sampleSize - 1)
	}
	return all
}

// Lasts reports whether the UIDs of a mailbox still mean what they meant, where
// the server gives it no UIDVALIDITY. UIDNEXT (0: not said) may not be lower
// than the one noted. If it is, it may still be worth nothing: then a message
// of the sample is there under a UID beyond it. Each message of the sample that
// is there must have the header and, if sizes tell anything, the size of the
// stored one. now are those messages as the server describes them, exists is
// what EXISTS says.
func Lasts(sample []Copy, now map[storage.UID]Copy, exists uint32, uidNext, noted storage.UID,
	sizes storage.Sizes) bool {
	there, last := 0, storage.UID(0)
	for _, s := range sample {
		c, ok := now[s.UID]
		if !ok || s.Header.Known() != c.Header.Known() {
			continue
		}
		if c.Header != s.Header || c.Size >= 0 && c.Size != s.Size && !sizes.Wrong && !sizes.Zero {
			return false
		}
		there, last = there+1, max(last, s.UID)
	}
	if uidNext > 0 && uidNext < noted && last < uidNext {
		return false
	}
	return there > 0 || len(sample) == 0 || exists == 0
}
