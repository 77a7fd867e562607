package page

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"mailcote/storage/owner"
	"mailcote/ui/web"
)

// Agent is where a running agent serves the page of a store.
type Agent struct {
	URL  string `json:"url"`
	PID  int    `json:"pid"`
	Link string `json:"link"` // signs one browser in, once; renewed before it ends
}

// agentLimit is the most that is read of an agent file.
const agentLimit = 4 << 10

// agentPath names the file in the state directory that belongs to a store.
func agentPath(stateDir, store string) string {
	sum := sha256.Sum256([]byte(store))
	return filepath.Join(stateDir, "agent-"+hex.EncodeToString(sum[:8])+".json")
}

// Publication is an agent file.
type Publication struct{ path string }

// Publish tells other processes of this user where the page is, until Withdraw. Again with another link, it replaces it.
func Publish(stateDir, store string, a Agent) (Publication, error) {
	p := Publication{agentPath(stateDir, store)}
	text, err := json.Marshal(a)
	if err != nil {
		return p, fmt.Errorf("agent file: %w", err)
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return p, fmt.Errorf("agent file: %w", err)
	}
	f, err := os.CreateTemp(stateDir, filepath.Base(p.path)+".*") // 0600
	if err != nil {
		return p, fmt.Errorf("agent file: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), p.path)
	}
	if err != nil {
		return p, fmt.Errorf("agent file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return p, nil
}

// Withdraw takes the file away. It may be called more than once.
func (p Publication) Withdraw() error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("agent file: %w", err)
	}
	return nil
}

// Running finds the agent of a store: false when none runs. A file that a dead process left is not believed, nor is one that
// somebody else may have written: what it names is sent the token.
func Running(stateDir, store string) (Agent, bool) {
	f, err := os.Open(agentPath(stateDir, store))
	if err != nil {
		return Agent{}, false
	}
	defer f.Close() //nolint:errcheck // it was only read
	if info, err := f.Stat(); err != nil || web.CheckPrivate(info) != nil {
		return Agent{}, false
	}
	var a Agent
	text, err := io.ReadAll(io.LimitReader(f, agentLimit))
	if err != nil || json.Unmarshal(text, &a) != nil {
		return Agent{}, false
	}
	holder, held := owner.Holder(store)
	return a, held && holder.PID == a.PID
}
