package plan

import (
	"testing"

	"mailcote/storage"
)

func TestJudge(t *testing.T) {
	asking := func(size, got int64, sum byte) Received {
		return Received{Size: size, Got: got, SHA256: [32]byte{sum}}
	}
	right, wrong := storage.Sizes{Short: 2, Lack: 29}, storage.Sizes{Wrong: true, Short: 3, Lack: 29}
	for _, test := range []struct {
		name   string
		now    Received
		before []Received
		sizes  storage.Sizes
		want   Verdict
	}{
		{name: "as long as it is said", now: asking(100, 100, 1), want: Whole},
		{name: "longer", now: asking(71, 100, 1), want: Whole},
		{name: "longer than nothing", now: asking(0, 100, 1), want: Whole},
		{name: "no size", now: asking(-1, 100, 1), want: Whole},
		{name: "shorter", now: asking(129, 100, 1), sizes: right, want: Again},
		{name: "shorter by one", now: asking(101, 100, 1), want: Again},
		{name: "empty", now: asking(100, 0, 1), want: Again},
		{name: "empty, no size", now: asking(-1, 0, 1), want: Again},
		{name: "empty, as is said", now: asking(0, 0, 1), want: Again},

		{name: "twice alike", now: asking(129, 100, 1), before: []Received{asking(129, 100, 1)}, want: Whole},
		{name: "as long, other octets", now: asking(129, 100, 2), before: []Received{asking(129, 100, 1)}, want: Aside},
		{name: "twice shorter, the second longer", now: asking(129, 110, 2), before: []Received{asking(129, 100, 1)},
			want: Aside},
		{name: "whole at the second time", now: asking(129, 129, 2), before: []Received{asking(129, 100, 1)},
			want: Whole},
		{name: "huge size, twice alike", now: asking(1<<62, 100, 1), before: []Received{asking(1<<62, 100, 1)},
			want: Whole},
		{name: "like one of many", now: asking(129, 100, 1),
			before: []Received{asking(129, 90, 3), asking(129, 100, 1)}, want: Whole},

		{name: "empty twice", now: asking(100, 0, 1), before: []Received{asking(100, 0, 1)}, want: Aside},
		{name: "empty twice, no size", now: asking(-1, 0, 1), before: []Received{asking(-1, 0, 1)}, want: Aside},
		{name: "empty twice, as is said", now: asking(0, 0, 1), before: []Received{asking(0, 0, 1)}, want: Whole},
		{name: "empty twice, as is said of what is gone", now: asking(0, 0, 1), before: []Received{{Gone: true}},
			want: Aside},
		{name: "empty twice, said once", now: asking(0, 0, 1), before: []Received{asking(100, 0, 1)}, want: Aside},
		{name: "empty twice, as is said of all", now: asking(0, 0, 1), before: []Received{asking(0, 0, 1)},
			sizes: storage.Sizes{Zero: true}, want: Aside},
		{name: "cut, then empty", now: asking(100, 0, 1), before: []Received{asking(100, 50, 1)}, want: Aside},
		{name: "empty, then cut", now: asking(100, 50, 1), before: []Received{asking(100, 0, 1)}, want: Again},
		{name: "empty, then cut twice", now: asking(100, 50, 1),
			before: []Received{asking(100, 0, 1), asking(100, 50, 1)}, want: Whole},
		{name: "empty, then cut in two ways", now: asking(100, 60, 2),
			before: []Received{asking(100, 0, 1), asking(100, 50, 1)}, want: Aside},

		{name: "wrong sizes", now: asking(129, 100, 1), sizes: wrong, want: Whole},
		{name: "wrong sizes, lacks more", now: asking(130, 100, 1), sizes: wrong, want: Again},
		{name: "wrong sizes, empty", now: asking(29, 0, 1), sizes: wrong, want: Again},
		{name: "wrong sizes, empty twice", now: asking(29, 0, 1), before: []Received{asking(29, 0, 1)}, sizes: wrong,
			want: Aside},
	} {
		if got := Judge(test.now, test.before, test.sizes); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestLearn(t *testing.T) {
	var s storage.Sizes
	for _, step := range []struct {
		n    int
		lack int64
		want storage.Sizes
	}{
		{1, 29, storage.Sizes{Short: 1, Lack: 29}},
		{1, 12, storage.Sizes{Short: 2, Lack: 29}},
		{1, 30, storage.Sizes{Wrong: true, Short: 3, Lack: 30}},
		{1, 20, storage.Sizes{Wrong: true, Short: 3, Lack: 30}},
		{1, 40, storage.Sizes{Wrong: true, Short: 3, Lack: 40}},
		{9, 1 << 62, storage.Sizes{Wrong: true, Short: 3, Lack: 80}},
	} {
		if s = Learn(s, step.n, step.lack); s != step.want {
			t.Errorf("%d of %d: %+v, want %+v", step.n, step.lack, s, step.want)
		}
	}
	if s := Learn(storage.Sizes{}, 500, 7); !s.Wrong || s.Lack != 7 {
		t.Errorf("a page of them: %+v", s)
	}
}
