package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"mailcote/testkit/child"
)

// profiling is compiled into the program for -profile.
const profiling = `package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/pprof"
)

func profiled(run func() int) int {
	out, err := os.OpenFile(os.Getenv("BENCH_PROFILE"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) { // this is the second sync
		return run()
	}
	if err == nil {
		err = pprof.StartCPUProfile(out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return 1
	}
	defer out.Close()
	defer pprof.StopCPUProfile()
	return run()
}
`

// profile writes a CPU profile of a first sync to path.
func (b *bench) profile(ctx context.Context, out io.Writer, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	list, err := overlay(ctx, b.dir)
	if err != nil {
		return err
	}
	program, err := child.Build(ctx, b.dir, "", "-overlay", list)
	if err != nil {
		return err
	}
	t := mailcote(program)
	prepare := t.prepare
	t.prepare = func(target string, port int) (argv, env []string, err error) {
		argv, env, err = prepare(target, port)
		return argv, append(env, "BENCH_PROFILE="+path), err
	}
	r, err := b.measure(ctx, t, b.options.rtts[0])
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d messages, %s: first sync %s, CPU %s; the profile is in %s\n", b.options.messages,
		size(float64(b.raw)), seconds(r.first.wall.Seconds()), seconds(r.first.cpu.Seconds()), path)
	return err
}

// overlay makes in scratch what go build needs to put profiling around the run
// of mailcote, and gives the file for its flag -overlay.
func overlay(ctx context.Context, scratch string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "mailcote").Output()
	if err != nil {
		return "", fmt.Errorf("find the source of mailcote: %w", err)
	}
	dir := strings.TrimSpace(string(root))
	text, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		return "", err
	}
	wrapped := bytes.Replace(text, []byte("os.Exit(run())"), []byte("os.Exit(profiled(run))"), 1)
	if bytes.Equal(wrapped, text) {
		return "", errors.New("main.go has no os.Exit(run()) to profile")
	}
	replace := map[string]string{}
	for name, content := range map[string][]byte{"main.go": wrapped, "profiled.go": []byte(profiling)} {
		path := filepath.Join(scratch, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(dir, name)] = path
	}
	text, err = json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(scratch, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}
