package cli

import (
	"fmt"
	"os"
	"testing"

	"mailcote/queue"
	"mailcote/storage"
	"mailcote/ui/cli/voice"
)

// TestOutcomes: a quota that was kept is temporary, a verb that does not apply a mistake, some of each done in part.
func TestOutcomes(t *testing.T) {
	refused := func(why error) queue.Outcome { return queue.Outcome{Refused: fmt.Errorf("task 1: %w", why)} }
	done, wished := queue.Outcome{Changed: true}, queue.Outcome{}
	quota, twin, state := refused(queue.ErrQuota), refused(queue.ErrTwin), refused(queue.ErrState)
	for _, one := range []struct {
		all  []queue.Outcome
		want Status
	}{
		{nil, Done},
		{[]queue.Outcome{done, wished, twin}, Done},
		{[]queue.Outcome{quota}, Temporary},
		{[]queue.Outcome{state}, Usage},
		{[]queue.Outcome{quota, done}, Partly},
		{[]queue.Outcome{state, twin}, Partly},
	} {
		for _, ids := range [][]storage.TaskID{nil, {1}} {
			a := &app{voice: voice.New(os.Stdin, os.Stdout, os.Stderr)}
			if got := statusOf(a.outcomes(queue.Order{Selection: queue.Selection{IDs: ids}}, one.all,
				nil)); got != one.want {
				t.Errorf("%+v: status %d, want %d", one.all, got, one.want)
			}
		}
	}
}
