package threading

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func key(n int) []byte { return fmt.Appendf(nil, "%016d", n) }

// set makes a set of emails 1 and up from their keys.
func set(all ...[]int) *Set {
	s := New()
	for i, some := range all {
		var keys [][]byte
		for _, n := range some {
			keys = append(keys, key(n))
		}
		s.Add(int64(i+1), keys)
	}
	return s
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		emails  [][]int
		threads []int64
		want    []int64
	}{
		"nothing":                  {nil, nil, []int64{}},
		"sound":                    {[][]int{{1}, {2, 1}, {3}}, []int64{7, 7, 4}, []int64{7, 7, 4}},
		"joined by the last":       {[][]int{{1}, {2}, {3, 1, 2}}, []int64{7, 7, 7}, []int64{7, 7, 7}},
		"the larger stays":         {[][]int{{1}, {1, 2}, {2}}, []int64{9, 9, 3}, []int64{9, 9, 9}},
		"of equal ones the older":  {[][]int{{1}, {1}}, []int64{9, 3}, []int64{3, 3}},
		"the larger part keeps it": {[][]int{{1}, {2}, {2}}, []int64{5, 5, 5}, []int64{-1, 5, 5}},
		"of equal parts the first": {[][]int{{1}, {2}}, []int64{5, 5}, []int64{5, -2}},
		"astray":                   {[][]int{{1}, {2, 1}, {3}}, []int64{1, 2, 2}, []int64{1, 1, 2}},
		"of another account":       {[][]int{{1}, {1}, {2}}, []int64{0, 3, 0}, []int64{3, 3, -3}},
		"one leads, parts of two stay": {[][]int{{1}, {1}, {1}, {2}, {2}}, []int64{4, 4, 6, 6, 6},
			[]int64{4, 4, 4, 6, 6}},
	} {
		if got := set(c.emails...).Plan(c.threads); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Emails are in one thread if and only if keys lead from one to the other; no thread goes to two conversations, and a
// part that is the largest of its thread and of its conversation keeps it.
func TestPlanAlways(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(rt, "emails")
		emails, threads := make([][]int, n), make([]int64, n)
		for i := range n {
			emails[i] = rapid.SliceOfN(rapid.IntRange(1, 9), 0, 3).Draw(rt, "keys")
			threads[i] = rapid.Int64Range(0, 5).Draw(rt, "thread")
		}
		reach := make([][]bool, n)
		for i := range n {
			reach[i] = make([]bool, n)
			for j := range n {
				reach[i][j] = i == j || slices.ContainsFunc(emails[i], func(k int) bool {
					return slices.Contains(emails[j], k)
				})
			}
		}
		for range n {
			for i := range n {
				for j := range n {
					for k := range n {
						reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
					}
				}
			}
		}
		want := set(emails...).Plan(threads)
		for i := range n {
			for j := range n {
				if got := want[i] == want[j]; got != reach[i][j] {
					rt.Fatalf("emails %d and %d in one thread: %t, want %t: %v", i+1, j+1, got, reach[i][j], want)
				}
			}
			both, thread, conversation := 0, 0, 0
			for j := range n {
				same, one := threads[i] == threads[j], reach[i][j]
				if same {
					thread++
				}
				if one {
					conversation++
				}
				if same && one {
					both++
				}
			}
			if threads[i] != 0 && 2*both > thread && 2*both > conversation && want[i] != threads[i] {
				rt.Fatalf("email %d left %d for %d", i+1, threads[i], want[i])
			}
			if want[i] == 0 || want[i] > 0 && !slices.Contains(threads, want[i]) {
				rt.Fatalf("email %d in %d", i+1, want[i])
			}
		}
	})
}

func TestKeys(t *testing.T) {
	s := set([]int{3, 1}, []int{2, 1}, nil)
	var got []string
	for k, at := range s.Keys() {
		got = append(got, fmt.Sprint(string(k[15:]), at))
	}
	if want := []string{"10", "21", "30"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.Join(0, 2)
	if got := s.Plan([]int64{1, 2, 3}); !slices.Equal(got, []int64{1, 1, 1}) {
		t.Errorf("joined: %v", got)
	}
}
