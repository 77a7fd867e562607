package agent

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"mailcote/ui/web"
)

// Opening is a file that leads the browser to a one-time link. The browser gets
// the file instead of the link, because every user of a machine can read the
// arguments of every process.
type Opening struct {
	path string
	stop context.CancelFunc
	wg   sync.WaitGroup
	err  error // of the file's removal
}

// Open opens the page in the browser. It returns nil where there is no display.
// The file is removed when the link has been used or has expired, or by Close,
// which must be called. say hears why the browser did not open.
func Open(ctx context.Context, stateDir, store string, i web.Invitation, say func(error)) (*Opening, error) {
	o := &Opening{path: openingPath(stateDir, store)}
	name, args := opener(runtime.GOOS, o.path)
	if name == "xdg-open" && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return nil, nil
	}
	if _, err := exec.LookPath(name); err != nil {
		return nil, nil //nolint:nilerr // without it there is no browser to open
	}
	if err := writePrivate(o.path, openingText(i.Link)); err != nil {
		return nil, fmt.Errorf("file for the browser: %w", err)
	}
	ctx, o.stop = context.WithCancel(ctx)
	command := exec.CommandContext(ctx, name, args...)
	failed := make(chan struct{})
	o.wg.Go(func() {
		// Some of these programs run as long as the browser, so nothing waits
		// for them.
		if err := command.Run(); err != nil && ctx.Err() == nil {
			say(fmt.Errorf("%s: %w", name, err))
			close(failed)
		}
	})
	o.wg.Go(func() { o.err = o.removeWhenOver(ctx, i.Used, failed) })
	return o, nil
}

func (o *Opening) removeWhenOver(ctx context.Context, used, failed <-chan struct{}) error {
	over := time.NewTimer(web.InvitationLife)
	defer over.Stop()
	select {
	case <-used:
	case <-failed:
	case <-over.C:
	case <-ctx.Done():
	}
	if err := os.Remove(o.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("file for the browser: %w", err)
	}
	return nil
}

// Close removes the file if it is still there.
func (o *Opening) Close() error {
	o.stop()
	o.wg.Wait()
	return o.err
}

// openingPath names the file of a store. The name is always the same, so that
// an agent can remove the file of one that was killed.
func openingPath(stateDir, store string) string {
	return filepath.Join(stateDir, "open-"+nameOf(store)+".html")
}

func openingText(link string) []byte {
	link = html.EscapeString(link)
	return []byte(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url=` + link + `">
<title>mailcote</title></head><body><p><a href="` + link + `">Go on to mailcote</a></p></body></html>
`)
}

// opener is the command that opens a file on an operating system.
func opener(system, file string) (name string, args []string) {
	switch system {
	case "darwin":
		return "open", []string{file}
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler", file}
	}
	return "xdg-open", []string{file}
}
