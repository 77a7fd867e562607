//go:build failpoints

package storage

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A migration that is killed leaves the old store or the new one, and the next start ends it.
func TestFailpointsOfMigration(t *testing.T) {
	if path := os.Getenv("MAILCOTE_OWNS"); path != "" { // in the process that is killed
		openAt(t, path, Options{})
		return
	}
	points := map[string]int{"schema.beforeRename": 1, "schema.beforeCommit": 1, "schema.afterCommit": 1}
	rebuilding := map[string]int{"schema.beforeDrop": 2, "schema.renamed": 2, "schema.remade": 2}
	for version := 1; version < SchemaVersion(); version++ {
		hit := maps.Clone(points)
		if version < 3 { // the third schema rebuilds two tables, later ones none
			maps.Copy(hit, rebuilding)
		}
		for point, hits := range hit {
			for n := 1; n <= hits; n++ {
				t.Run(fmt.Sprintf("%d/%s/%d", version, point, n), func(t *testing.T) {
					path := older(t, version, more)
					columns := columnsOf(t, path)
					before := asked(t, path, columns)
					c := exec.Command(os.Args[0], "-test.run=^TestFailpointsOfMigration$")
					c.Env = append(os.Environ(), "MAILCOTE_OWNS="+path,
						fmt.Sprintf("MAILCOTE_FAILPOINT=%s:%d:kill", point, n))
					if out, err := c.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
						t.Fatalf("it was not killed: %v: %s", err, out)
					}
					compare(t, before, asked(t, path, columns))
					s := openAt(t, path, Options{})
					compare(t, before, asked(t, path, columns))
					if found, err := s.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
						t.Errorf("%v, %v", found, err)
					}
				})
			}
		}
	}
}
