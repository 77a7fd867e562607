//go:build unix

package cli_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

// TestFewDescriptors is FAULTS L9: with room for 64 open files and far more accounts, a sync and an agent
// survive, do not spin, and every account has its turn: what an agent keeps open between two passes is given
// back.
func TestFewDescriptors(t *testing.T) {
	accounts := max(byLength(100, 300), 80) // more than there are descriptors, under the race detector too
	for _, command := range [][]string{{"sync", "--once", "--json"}, {"run", "--port", "0", "--json"}} {
		t.Run(command[0], func(t *testing.T) {
			t.Parallel()
			r, s := scripted(t)
			r.accounts(s, accounts)
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				if c.Name == "LIST" { // long enough for all to be there
					time.Sleep(300 * time.Millisecond)
				}
				return script.Answer
			}})
			began := time.Now()
			p := child.Start(t, append([]string{"sh", "-c", `ulimit -n 64 && exec mailcote "$@"`, "sh"}, command...),
				r.env)
			if command[0] == "run" {
				r.awaits(int64(accounts), someMail)
				if err := p.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
			}
			o := r.end(p)
			wall, cpu := p.Usage()
			faults := r.number(`SELECT count(*) AS n FROM sync_errors`)
			t.Logf("%d accounts in %v, %v of processor, %d connections, %d faults", accounts,
				time.Since(began).Round(time.Millisecond), cpu, s.Connections(), faults)
			if o.code != 0 || command[0] == "sync" && strings.Count(o.out, `"result":"complete"`) != accounts {
				t.Errorf("status %d: %.3000s%.3000s", o.code, o.out, o.errs)
			}
			if n := r.number(`SELECT count(*) AS n FROM sync_errors WHERE class <> 'storage'`); n != 0 || faults == 0 {
				t.Errorf("%d faults of another class, %d in all: %v", n, faults,
					slices.Collect(r.rows(`SELECT class, phase, detail FROM sync_errors WHERE class <> 'storage'`)))
			}
			if cpu > wall/2 && cpu > 20*time.Second && !form.Race {
				t.Errorf("%v of processor in %v", cpu, wall)
			}
			r.sound()
		})
	}
}
