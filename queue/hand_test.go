package queue

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mailcote/storage"
)

// order carries out an order and gives the outcomes by task.
func (b *bench) order(o Order) map[storage.TaskID]Outcome {
	b.t.Helper()
	all, err := b.ByHand(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.consistent()
	byID := map[storage.TaskID]Outcome{}
	for _, one := range all {
		byID[one.Task.ID] = one
	}
	return byID
}

// in makes a task that stands in a state.
func (b *bench) in(state State, mailbox int) storage.TaskID {
	b.t.Helper()
	id := b.add(b.ada, mailbox, 5)
	if state == Paused {
		b.order(Order{Verb: VerbPause, Selection: Selection{IDs: []storage.TaskID{id}}})
		return id
	}
	if state == Cancelled {
		b.order(Order{Verb: VerbCancel, Selection: Selection{IDs: []storage.TaskID{id}}})
		return id
	}
	if state == Pending {
		return id
	}
	task := b.take(b.ada, id)
	b.write(func(w *storage.Writer) (err error) {
		switch state {
		case Waiting:
			err = b.RetryTx(w, task, time.Now().Add(time.Minute), why("network"))
		case Completed:
			_, err = b.CompleteTx(w, task)
		case Failed:
			err = b.FailTx(w, task, why("bug"))
		}
		return err
	})
	return id
}

// TestByHand: every verb on every state, by number and in bulk.
func TestByHand(t *testing.T) {
	states := []State{Pending, Waiting, Paused, Processing, Completed, Failed, Cancelled}
	no := State("refused")
	for verb, want := range map[Verb][]State{ // the state afterwards, or refused
		VerbRetry:    {Pending, Pending, no, Processing, no, Pending, Pending},
		VerbCancel:   {Cancelled, Cancelled, Cancelled, no, no, no, Cancelled},
		VerbPause:    {Paused, Paused, Paused, no, no, no, no},
		VerbResume:   {Pending, Waiting, Pending, Processing, no, no, no},
		VerbPriority: {Pending, Waiting, Paused, Processing, no, no, no},
	} {
		for i, state := range states {
			t.Run(string(verb)+" "+string(state), func(t *testing.T) {
				b := open(t)
				id := b.in(state, 1)
				before := b.find(id)
				one := b.order(Order{Verb: verb, Priority: 9, Selection: Selection{IDs: []storage.TaskID{id, id}}})[id]
				if refused := want[i] == no; refused != errors.Is(one.Refused, ErrState) || refused &&
					b.find(id).State != state {
					t.Fatalf("%+v", one)
				}
				if want[i] == no {
					if bulk := b.order(Order{Verb: verb, Priority: 8}); len(bulk) != 0 {
						t.Fatalf("in bulk: %+v", bulk)
					}
					return
				}
				after := b.find(id)
				if after.State != want[i] || one.Task.State != want[i] {
					t.Fatalf("%s, told %s, want %s", after.State, one.Task.State, want[i])
				}
				if changed := before.State != after.State || before.Priority != after.Priority; changed != one.Changed {
					t.Fatalf("changed %v, told %v", changed, one.Changed)
				}
				if verb == VerbRetry && one.Changed && (after.RetryCount != 0 || !after.CompletedAt.IsZero() ||
					!after.NextRetryAt.IsZero()) {
					t.Fatalf("%+v", after)
				}
				if verb == VerbPriority && after.Priority != 9 {
					t.Fatalf("priority %d", after.Priority)
				}
				if after.State == Pending {
					b.take(b.ada, id)
				} else if _, ok := b.claim(b.ada); ok {
					t.Fatal("given out")
				}
			})
		}
	}
}

// TestByHandBulk: a selection reaches the tasks that fit every field of it, and no others.
func TestByHandBulk(t *testing.T) {
	b := open(t)
	failed, waiting := b.in(Failed, 1), b.in(Waiting, 2)
	pending, other := b.in(Pending, 3), b.add(b.bob, 1, 5)
	var mixed storage.TaskID
	b.write(func(w *storage.Writer) (err error) {
		mixed, _, err = b.EnqueueTx(w, NewTask{Account: b.ada, Type: IncrementalSync})
		return err
	})
	for _, one := range []struct {
		o    Order
		want []storage.TaskID
	}{
		{Order{Verb: VerbPriority, Priority: 2, Selection: Selection{Account: b.bob}}, []storage.TaskID{other}},
		{Order{Verb: VerbPriority, Priority: 2, Selection: Selection{Type: IncrementalSync}}, []storage.TaskID{mixed}},
		{Order{Verb: VerbPriority, Priority: 3, Selection: Selection{Account: b.ada, State: Waiting}},
			[]storage.TaskID{waiting}},
		{Order{Verb: VerbPause}, []storage.TaskID{waiting, pending, other, mixed}},
		{Order{Verb: VerbResume, Selection: Selection{Account: b.ada}}, []storage.TaskID{waiting, pending, mixed}},
		{Order{Verb: VerbRetry}, []storage.TaskID{failed, waiting}},
		{Order{Verb: VerbCancel, Selection: Selection{State: Failed}}, nil},
		{Order{Verb: VerbCancel}, []storage.TaskID{failed, waiting, pending, other, mixed}},
	} {
		var got []storage.TaskID
		for id, outcome := range b.order(one.o) {
			if got = append(got, id); !outcome.Changed {
				t.Errorf("%+v: task %d: %+v", one.o, id, outcome)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, one.want) {
			t.Errorf("%+v: %v, want %v", one.o, got, one.want)
		}
	}
}

// TestByHandQuota: neither a retry nor a pause is a way around a quota; force is.
func TestByHandQuota(t *testing.T) {
	b := open(t)
	id := b.add(b.ada, 1, 5)
	task, until := b.take(b.ada, id), time.Now().Add(time.Hour)
	b.write(func(w *storage.Writer) error { return b.RetryTx(w, task, until, why("quota")) })
	it := Selection{IDs: []storage.TaskID{id}}
	one := b.order(Order{Verb: VerbRetry, Selection: it})[id]
	if !errors.Is(one.Refused, ErrQuota) || !strings.Contains(one.Refused.Error(), until.Local().Format("15:04")) ||
		one.Changed {
		t.Fatalf("%+v", one)
	}
	b.order(Order{Verb: VerbPause, Selection: it})
	if one := b.order(Order{Verb: VerbResume, Selection: it})[id]; one.Task.State != Waiting ||
		one.Task.NextRetryAt.Sub(until).Abs() > time.Second {
		t.Fatalf("%+v", one.Task)
	}
	if _, ok := b.claim(b.ada); ok {
		t.Fatal("given out before its time")
	}
	if one := b.order(Order{Verb: VerbRetry, Selection: it, Force: true})[id]; !one.Changed {
		t.Fatalf("%+v", one)
	}
	b.take(b.ada, id)
}

// TestByHandTwin: of several ended tasks that do the same one comes back, the newest, and none beside an
// unfinished one.
func TestByHandTwin(t *testing.T) {
	b := open(t)
	old, newer := b.in(Failed, 1), b.in(Cancelled, 1)
	all := b.order(Order{Verb: VerbRetry})
	if !all[newer].Changed || !errors.Is(all[old].Refused, ErrTwin) || b.find(old).State != Failed {
		t.Fatalf("%+v", all)
	}
	if again := b.add(b.ada, 1, 5); again != newer {
		t.Fatalf("task %d beside %d", again, newer)
	}
}

// TestByHandNothing: an unknown number or priority changes nothing at all.
func TestByHandNothing(t *testing.T) {
	b := open(t)
	id := b.add(b.ada, 1, 5)
	if _, err := b.ByHand(t.Context(), Order{Verb: VerbCancel,
		Selection: Selection{IDs: []storage.TaskID{id, 99}}}); !errors.Is(err, storage.ErrNotFound) {
		t.Fatal(err)
	}
	for _, priority := range []int{0, 11} {
		if _, err := b.ByHand(t.Context(), Order{Verb: VerbPriority, Priority: priority}); err == nil {
			t.Fatal("priority taken")
		}
	}
	if task := b.find(id); task.State != Pending || task.Priority != 5 {
		t.Fatalf("%+v", task)
	}
}

// TestByHandPriority: a priority that there is none of changes nothing.
func TestByHandPriority(t *testing.T) {
	b := open(t)
	id := b.in(Pending, 1)
	for _, priority := range []int{-1, 0, 11} {
		if _, err := b.ByHand(t.Context(), Order{Verb: VerbPriority, Priority: priority,
			Selection: Selection{IDs: []storage.TaskID{id}}}); err == nil ||
			!strings.Contains(err.Error(), "not between 1 and 10") {
			t.Errorf("priority %d: %v", priority, err)
		}
	}
	if got := b.find(id).Priority; got != 5 {
		t.Errorf("priority %d", got)
	}
}

// TestByHandSpans: a task of one mailbox and other dates is no twin.
func TestByHandSpans(t *testing.T) {
	b := open(t)
	add := func(year string) (id storage.TaskID) {
		b.write(func(w *storage.Writer) (err error) {
			id, _, err = b.EnqueueTx(w, NewTask{Account: b.ada, Type: FolderSync,
				Payload: Payload{Mailbox: 1, StartDate: year + "-01-01"}})
			return err
		})
		return id
	}
	failed := add("2023")
	task := b.take(b.ada, failed)
	b.write(func(w *storage.Writer) error { return b.FailTx(w, task, why("bug")) })
	if add("2024") == failed {
		t.Fatal("two years are one task")
	}
	if one := b.order(Order{Verb: VerbRetry,
		Selection: Selection{IDs: []storage.TaskID{failed}}})[failed]; !one.Changed || one.Refused != nil {
		t.Errorf("%+v", one)
	}
}

// TestFree: what waits because its account does is due when that is over; what waits for a fault of its own is not.
func TestFree(t *testing.T) {
	b := open(t)
	held, own := b.add(b.ada, 1, 6), b.add(b.ada, 2, 5)
	for _, id := range []storage.TaskID{held, own} {
		task, fault := b.take(b.ada, id), why("network")
		fault.Held = id == held
		b.write(func(w *storage.Writer) error { return b.RetryTx(w, task, time.Now().Add(time.Hour), fault) })
	}
	b.write(func(w *storage.Writer) error { return b.FreeTx(w, b.ada) })
	b.consistent()
	if now, later := b.find(held), b.find(own); now.State != Pending || later.State != Waiting ||
		time.Until(later.NextRetryAt) < 50*time.Minute {
		t.Errorf("held: %s; its own: %s until %s", now.State, later.State, later.NextRetryAt)
	}
	b.take(b.ada, held)
	if task, ok := b.claim(b.ada); ok {
		t.Errorf("claimed %+v", task)
	}
}

// TestJump: a clock that is set back shortens and lengthens no wait, of a paused task neither; one that is set
// forward moves none.
func TestJump(t *testing.T) {
	b := open(t)
	wait := func(mailbox int) storage.TaskID {
		id := b.add(b.ada, mailbox, 5)
		task := b.take(b.ada, id)
		b.write(func(w *storage.Writer) error {
			return b.RetryTx(w, task, time.Now().Add(3*time.Hour), why("network"))
		})
		return id
	}
	waiting, paused := wait(1), wait(2)
	b.order(Order{Verb: VerbPause, Selection: Selection{IDs: []storage.TaskID{paused}}})
	before := map[storage.TaskID]time.Time{waiting: b.find(waiting).NextRetryAt, paused: b.find(paused).NextRetryAt}
	moved := time.Duration(0)
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		if jump < 0 {
			moved += jump
		}
		b.write(func(w *storage.Writer) error { return b.JumpTx(w, jump) })
		for id, was := range before {
			if got := b.find(id).NextRetryAt; got.Sub(was).Round(time.Second) != moved {
				t.Errorf("set by %s: task %d is due %s later than before, want %s", jump, id, got.Sub(was), moved)
			}
		}
	}
	if _, ok := b.claim(b.ada); ok {
		t.Error("a wait of three hours is over")
	}
}
