package agent

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
)

// Agent is a running agent, which serves the page of a store.
type Agent struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// agentLimit is how much is read of an agent file.
const agentLimit = 4 << 10

// agentPath names the file in the state directory that belongs to a store.
func agentPath(stateDir, store string) string {
	return filepath.Join(stateDir, "agent-"+nameOf(store)+".json")
}

// nameOf is the part of a file's name that says to which store it belongs.
func nameOf(store string) string {
	sum := sha256.Sum256([]byte(store))
	return hex.EncodeToString(sum[:8])
}

// Publication is an agent file.
type Publication struct{ path string }

// Publish tells other processes of this user where the page is, until Withdraw.
// It replaces or removes the files of an agent that was killed.
func Publish(stateDir, store string, a Agent) (Publication, error) {
	p := Publication{agentPath(stateDir, store)}
	if err := os.Remove(openingPath(stateDir, store)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("old file for the browser: %w", err)
	}
	text, err := json.Marshal(a)
	if err == nil {
		err = writePrivate(p.path, append(text, '\n'))
	}
	if err != nil {
		return p, fmt.Errorf("agent file: %w", err)
	}
	return p, nil
}

// writePrivate writes a file that only this user can read. It appears, or
// replaces the one before, as a whole.
func writePrivate(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Withdraw removes the file. It may be called more than once.
func (p Publication) Withdraw() error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("agent file: %w", err)
	}
	return nil
}

// Running finds the agent of a store; false when none runs. The token is sent
// to the address in the file. So a file that a dead process left, or that
// another user may have written, is ignored.
func Running(stateDir, store string) (Agent, bool) {
	f, err := os.Open(agentPath(stateDir, store))
	if err != nil {
		return Agent{}, false
	}
	defer f.Close() //nolint:errcheck // it was only read
	if info, err := f.Stat(); err != nil || CheckPrivate(info) != nil {
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
