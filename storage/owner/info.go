package owner

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"mailcote/storage/disk"
	"mailcote/testkit/failpoint"
)

// Info says who owns a store, in the words of the owner. The zero Info is an
// owner that left no name.
type Info struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"` // what it runs, without secrets; printable, ≤ 200 characters
	Started time.Time `json:"started"` // when it became the owner (RFC 3339)
	BootID  string    `json:"boot_id,omitempty"`
}

func (i Info) String() string {
	if i.PID == 0 {
		return "a process that left no name"
	}
	return fmt.Sprintf("process %d (%s) since %s", i.PID, i.Command, i.Started.Local().Format("2006-01-02 15:04:05"))
}

const (
	ownerSuffix = ".owner"
	ownerLimit  = 4 << 10 // bytes read of an owner file
)

// writeInfo publishes the holder's name; the caller holds the lock, so the
// temporary name needs no random part. The old name goes first: until the new
// one is there, a reader must see none rather than a dead owner's.
func writeInfo(path string, info Info) error {
	info.Command = tidy(info.Command)
	text, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("owner: name the holder: %w", err)
	}
	name, temp := path+ownerSuffix, path+ownerSuffix+".new"
	for _, old := range []string{name, temp} {
		if err := os.Remove(old); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("owner: remove a dead holder's name: %w", err)
		}
	}
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY|noFollow, 0o600)
	if err != nil {
		return fmt.Errorf("owner: name the holder: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if closed := f.Close(); err == nil {
		err = closed
	}
	failpoint.Hit("owner.beforeRename")
	if err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		_ = os.Remove(temp) // best effort: the next owner removes it too
		if disk.Full(err) { // the name decides nothing, and an owner may be the one to make room
			return nil
		}
		return fmt.Errorf("owner: name the holder: %w", err)
	}
	return nil
}

// readInfo reads the holder's name; false when it is missing, unreadable or
// names a process that no longer runs. A holder in another process-id namespace
// cannot be told from a dead one and stays without a name.
func readInfo(path string) (Info, bool) {
	name := path + ownerSuffix
	if st, err := os.Lstat(name); err != nil || !st.Mode().IsRegular() {
		return Info{}, false
	}
	f, err := os.OpenFile(name, os.O_RDONLY|noFollow|noBlock, 0)
	if err != nil {
		return Info{}, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, ownerLimit))
	if err != nil {
		return Info{}, false
	}
	var info Info
	if json.Unmarshal(text, &info) != nil || !alive(info.PID) {
		return Info{}, false
	}
	if here := bootID(); here != "" && info.BootID != "" && info.BootID != here {
		return Info{}, false
	}
	info.Command = tidy(info.Command)
	return info, true
}

// tidy makes a command line fit to be shown on one terminal line.
func tidy(command string) string {
	kept := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(command, "?"))
	if runes := []rune(kept); len(runes) > 200 {
		kept = string(runes[:199]) + "…"
	}
	return kept
}
