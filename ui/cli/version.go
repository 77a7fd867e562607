package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	lib "modernc.org/sqlite/lib"

	"mailcote/storage"
)

// versionView is `version --json`.
type versionView struct {
	Type    string `json:"type"`    // always "version"
	Version string `json:"version"` // devel: built from no release
	Commit  string `json:"commit"`  // unknown: built without Git
	Changed bool   `json:"changed"` // built from files that were not committed
	Go      string `json:"go"`      // the version of Go
	OS      string `json:"os"`      // linux, darwin, windows and the like
	Arch    string `json:"arch"`    // amd64, arm64 and the like
	SQLite  string `json:"sqlite"`  // the version of SQLite
	Schema  int    `json:"schema"`  // the version of the store that it writes
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(0, ""),
		Example: "  mailcote version --json",
		RunE:    func(*cobra.Command, []string) error { return a.printVersion() },
	}
}

func (a *app) printVersion() error {
	v := viewVersion()
	if a.json {
		return a.voice.JSON(v)
	}
	return a.voice.Say("%s", v)
}

func (v versionView) String() string {
	return fmt.Sprintf("mailcote %s (commit %s, %s, SQLite %s, schema %d)", v.Version, v.Commit, v.Go, v.SQLite,
		v.Schema)
}

func viewVersion() versionView {
	v := versionView{Type: "version", Version: "devel", Commit: "unknown", Go: runtime.Version(), OS: runtime.GOOS,
		Arch:   runtime.GOARCH,
		SQLite: lib.SQLITE_VERSION, Schema: storage.SchemaVersion()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Changed = s.Value == "true"
			}
		}
	}
	return v
}
