package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// beside is a checker with so many readers of nothing.
func beside(t *testing.T, readers int) *checker {
	src := Source{}
	for range readers {
		src.Readers = append(src.Readers, Reader{Read: func(_ context.Context, fn func(Snapshot) error) error {
			return fn(nil)
		}})
	}
	return newChecker(t.Context(), src)
}

// finds begins a part that finds n things once it may.
func finds(t *testing.T, c *checker, may <-chan struct{}, n int, err error) {
	t.Helper()
	name := fmt.Sprint("part ", len(c.parts)+len(c.found))
	if failed := c.side(name, func(p *part, _ Snapshot) error {
		<-may
		for range n {
			if err := p.add("thing", name, "It is one."); err != nil {
				return err
			}
		}
		return err
	}); failed != nil {
		t.Fatal(failed)
	}
}

func places(c *checker) (all []string) {
	for _, f := range c.found {
		all = append(all, f.Where)
	}
	return slices.Compact(all)
}

// What parts find stands in the order in which they began, whichever ends first.
func TestPartsKeepTheirOrder(t *testing.T) {
	c := beside(t, 3)
	first, now := make(chan struct{}), make(chan struct{})
	close(now)
	finds(t, c, first, 1, nil)
	for range 5 {
		finds(t, c, now, 1, nil)
	}
	if len(c.found) > 0 {
		t.Errorf("found %v before the first part ended", places(c))
	}
	close(first)
	if err := c.end(nil); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(places(c)); got != "[part 0 part 1 part 2 part 3 part 4 part 5]" {
		t.Errorf("found %s", got)
	}
}

// An error is that of the first part that failed, and what was found before it is kept.
func TestPartsStopAtAnError(t *testing.T) {
	c := beside(t, 4)
	slow, now := make(chan struct{}), make(chan struct{})
	close(now)
	early, late := errors.New("early"), errors.New("late")
	finds(t, c, slow, 1, nil)
	finds(t, c, slow, 1, early)
	finds(t, c, now, 1, late)
	finds(t, c, now, 1, nil)
	close(slow)
	if err := c.end(errors.New("what was not begun")); !errors.Is(err, early) {
		t.Errorf("ended with %v", err)
	}
	if got := fmt.Sprint(places(c)); got != "[part 0 part 1]" {
		t.Errorf("found %s", got)
	}
	if _, err := c.take(); !errors.Is(err, early) {
		t.Errorf("it goes on: %v", err)
	}
}

// No more is found than is reported. While one part runs, others do not pile up what they found.
func TestPartsFindEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := beside(t, 2)
		slow, now := make(chan struct{}), make(chan struct{})
		close(now)
		finds(t, c, slow, 1, nil)
		for range 2 {
			finds(t, c, now, maxFindings, nil)
		}
		var next error
		goOn := false
		go func() { _, next = c.take(); goOn = true }()
		if synctest.Wait(); goOn {
			t.Error("it goes on before the first part ended")
		}
		close(slow)
		if synctest.Wait(); !errors.Is(next, errEnough) {
			t.Errorf("it goes on with %v", next)
		}
		if err := c.end(nil); !errors.Is(err, errEnough) || len(c.found) != maxFindings {
			t.Errorf("%d findings, %v", len(c.found), err)
		}
	})
}
