package schema

import (
	"regexp"
	"strings"
	"testing"
)

// Ids are valid (RFC 8620 §1.2) and of one width. Those of later groups sort after those of earlier ones, whatever is
// random in them.
func TestObjectID(t *testing.T) {
	valid := regexp.MustCompile(`^t[0-9a-v]{24}$`)
	const group = 1 << groupChange
	last, seen := "", map[string]bool{}
	for _, change := range []int64{0, group, 31 * group, 32 * group, 33 * group, 1 << 34} {
		for range 20 {
			id := ObjectID("t", change)
			head, random := RandomPart(id)
			if !valid.MatchString(id) || head+random != id || len(head) != objectHead || len(random)*5 < 64 {
				t.Errorf("%d gives %s", change, id)
			}
			if seen[random] {
				t.Errorf("%s comes twice", random)
			}
			seen[random] = true
			if head == last {
				t.Errorf("%d begins with %s, as the one before", change, head)
			}
		}
		head, _ := RandomPart(ObjectID("t", change+group-1))
		if head <= last {
			t.Errorf("%d begins with %s, the one before with %s", change, head, last)
		}
		last = head
	}
	for _, id := range []string{"", "e", "evvv", "e" + strings.Repeat("0", 24)} {
		if head, random := RandomPart(id); head+random != id || len(head) > 1 {
			t.Errorf("%q is %q and %q", id, head, random)
		}
	}
}
