package engine

import (
	"testing"

	"mailcote/testkit/script"
)

// TestStarvedBudget: when slow accounts hold all memory there is, another account's mail goes through the store and arrives.
func TestStarvedBudget(t *testing.T) {
	s, w := scripted(t, 3, script.Options{}, Options{})
	if !w.engine.budget.TryAcquire(budgetBytes) {
		t.Fatal("somebody holds memory already")
	}
	defer w.engine.budget.Release(budgetBytes)
	w.complete()
	w.equals(s)
}
