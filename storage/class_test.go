package storage

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"mailcote/storage/class"
)

// TestClassesAreTheSchemas: the store takes a fault of each class, and no class that the program does not know.
func TestClassesAreTheSchemas(t *testing.T) {
	b := newBed(t)
	var ddl string
	read(t, b.Store, func(r *Reader) error {
		return r.snap.QueryRow(`SELECT sql FROM sqlite_schema WHERE name = 'sync_error'`).Scan(&ddl)
	})
	check := regexp.MustCompile(`CHECK \(class IN \(([^)]*)\)\)`).FindStringSubmatch(ddl)
	if check == nil {
		t.Fatalf("sync_error.class has no CHECK: %s", ddl)
	}
	var want []class.Class
	for _, name := range regexp.MustCompile(`'([^']*)'`).FindAllStringSubmatch(check[1], -1) {
		want = append(want, class.Class(name[1]))
	}
	if got := class.Faults(); !slices.Equal(got, want) {
		t.Errorf("the program knows %v, the schema %v", got, want)
	}
	write(t, b.Store, func(w *Writer) error {
		for _, c := range class.Faults() {
			if err := w.RecordFault(Fault{At: time.Now(), Account: b.account, Class: c, Scope: "account"}); err != nil {
				t.Errorf("%s: %v", c, err)
			}
		}
		return nil
	})
	if err := b.Write(t.Context(), Interactive, 0, func(w *Writer) error {
		return w.RecordFault(Fault{At: time.Now(), Account: b.account, Class: class.Manual, Scope: "account"})
	}); err == nil {
		t.Error("a fault of no class of faults is kept")
	}
}
