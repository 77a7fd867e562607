package schema

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

const (
	// objectHead is how many characters of an id that ascends come before its
	// random part: the letter, the mark and the group.
	objectHead = 1 + len(objectMark) + groupDigits
	// objectMark begins what follows the letter of an id that ascends. Ids were
	// all random before: of those, one in 32,768 begins so by chance and is taken
	// for one that ascends. Nothing depends on which it is.
	objectMark  = "vvv"
	groupDigits = 5
	groupChange = 11 // bits of the change number that one group spans
	digits      = "0123456789abcdefghijklmnopqrstuv"
)

// ObjectID makes a JMAP id: a letter, then 24 characters, of which the last 16
// carry 80 random bits (RFC 8620 §1.2). Before those stands the group. It ascends
// with the store's change number, so that new ids lie next to each other in the
// indexes. Within a group the random part decides: then as few groups as there
// are can be searched for a random part.
func ObjectID(letter string, change int64) string {
	var group [groupDigits]byte
	for i, left := groupDigits-1, change>>groupChange; i >= 0; i, left = i-1, left>>5 {
		group[i] = digits[left&31]
	}
	var raw [10]byte
	rand.Read(raw[:]) //nolint:errcheck // it never fails (crypto/rand)
	return letter + objectMark + string(group[:]) + strings.ToLower(base32.HexEncoding.EncodeToString(raw[:]))
}

// RandomPart cuts an id that ascends into what comes before its random part, and
// that. Of another id, all but the letter is the random part.
func RandomPart(id string) (head, random string) {
	if len(id) > objectHead && id[1:1+len(objectMark)] == objectMark {
		return id[:objectHead], id[objectHead:]
	}
	return id[:min(1, len(id))], id[min(1, len(id)):]
}
