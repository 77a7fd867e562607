//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ExitStatus is what the action "exit" ends with.
const ExitStatus = 99

// This is the one place in the project with package state. A point has no
// object it could belong to, and no shipped build has this file.
var (
	setUp sync.Once
	mu    sync.Mutex
	hits  map[string]int
	plan  struct {
		name, action, log string
		n                 int
	}
)

// Hit acts if MAILCOTE_FAILPOINT asks for it here and now.
func Hit(name string) {
	setUp.Do(readEnvironment)
	mu.Lock()
	hits[name]++
	n := hits[name]
	if plan.log != "" {
		record(name)
	}
	mu.Unlock()
	if name == plan.name && n == plan.n {
		act(name, plan.action)
	}
}

// readEnvironment panics on a mistake. A test with a mistyped point would pass
// without testing anything.
func readEnvironment() {
	hits = make(map[string]int)
	plan.log = os.Getenv("MAILCOTE_FAILPOINT_LOG")
	spec := os.Getenv("MAILCOTE_FAILPOINT")
	if spec == "" {
		return
	}
	fields := strings.Split(spec, ":")
	if len(fields) != 3 {
		panic(fmt.Sprintf("failpoint: %q is not name:n:action", spec))
	}
	n, err := strconv.Atoi(fields[1])
	if err != nil || n < 1 {
		panic(fmt.Sprintf("failpoint: %q: the count is a number from 1", spec))
	}
	plan.name, plan.n, plan.action = fields[0], n, fields[2]
	if _, ok := pause(plan.action); !ok && plan.action != "kill" && plan.action != "exit" && plan.action != "panic" {
		panic(fmt.Sprintf("failpoint: %q: unknown action", spec))
	}
}

func record(name string) {
	f, err := os.OpenFile(plan.log, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(fmt.Sprintf("failpoint: %v", err))
	}
	defer f.Close()
	// One write: several processes may append to the same file.
	if _, err := f.WriteString(name + "\n"); err != nil {
		panic(fmt.Sprintf("failpoint: %v", err))
	}
}

func act(name, action string) {
	switch action {
	case "kill":
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		if err != nil {
			panic(fmt.Sprintf("failpoint: %v", err))
		}
		select {} // the signal may need a moment; not one instruction more
	case "exit":
		os.Exit(ExitStatus)
	case "panic":
		panic("failpoint: " + name)
	default:
		d, _ := pause(action)
		time.Sleep(d)
	}
}

func pause(action string) (time.Duration, bool) {
	if action == "sleep" {
		return time.Second, true
	}
	text, ok := strings.CutPrefix(action, "sleep=")
	if !ok {
		return 0, false
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}
