package salvage

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/storage/internal/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lengths makes a file with the table t, a row a length, and closes it.
func lengths(t *testing.T, of []int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test that fails tells
	db.SetMaxOpenConns(1)
	for _, statement := range []string{fmt.Sprintf("PRAGMA page_size = %d", schema.PageSize),
		"PRAGMA synchronous = OFF", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "BEGIN"} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range of {
		if _, err := db.Exec("INSERT INTO t VALUES (?, ?)", i+1,
			fmt.Sprintf("<row %d>%s", i+1, strings.Repeat("x", n))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	return path
}

// clearPages clears the pages of some rows and gives the rows that went with them.
func clearPages(t *testing.T, path string, rows ...int) map[int64]bool {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gone := map[int64]bool{}
	for _, row := range rows {
		at := bytes.Index(file, fmt.Appendf(nil, "<row %d>", row))
		if at < 0 {
			t.Fatalf("no row %d", row)
		}
		page := file[at/schema.PageSize*schema.PageSize:][:schema.PageSize]
		for _, found := range regexp.MustCompile(`<row (\d+)>`).FindAllSubmatch(page, -1) {
			n, err := strconv.ParseInt(string(found[1]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			gone[n] = true
		}
		clear(page)
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return gone
}

// Every row is read whose page can be read, wherever it lies between those that cannot.
func TestScanBetweenDamagedPages(t *testing.T) {
	short, long := 20, 1500
	span := func(n, length int) (all []int) {
		for range n {
			all = append(all, length)
		}
		return all
	}
	join := func(spans ...[]int) (all []int) {
		for _, one := range spans {
			all = append(all, one...)
		}
		return all
	}
	for name, c := range map[string]struct {
		rows  []int
		clear []int
	}{
		"one in the middle":        {span(2000, short), []int{1000}},
		"the first":                {span(2000, short), []int{1}},
		"the last":                 {span(2000, short), []int{2000}},
		"the last but a short one": {join(span(1000, short), span(3, long)), []int{900}},
		"a short one between two": {join(span(1000, short), span(5, long), span(1000, short)),
			[]int{800, 990, 1200}},
		"many, with short ones between": {join(span(500, short), span(9, long), span(500, short), span(9, long),
			span(500, short)), []int{300, 450, 700, 900, 1100, 1300}},
	} {
		t.Run(name, func(t *testing.T) {
			path := lengths(t, c.rows)
			gone := clearPages(t, path, c.clear...)
			db, err := dial(path, "mode=ro")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close() //nolint:errcheck // it was only read
			d := &damaged{ctx: t.Context(), db: db}
			got := map[int64]int{}
			began := time.Now()
			if err := d.each(table{"t", []string{"id", "v"}}, 7, func(one row) error {
				got[one.whole("id")]++
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d of %d rows were on those pages; read in %v, %d gaps", len(gone), len(c.rows),
				time.Since(began).Round(time.Millisecond), d.gaps)
			for id := int64(1); id <= int64(len(c.rows)); id++ {
				if want := !gone[id]; want && got[id] != 1 || !want && got[id] != 0 {
					t.Errorf("row %d was read %d times", id, got[id])
				}
			}
			if len(gone) == 0 || d.gaps == 0 {
				t.Error("nothing was damaged")
			}
		})
	}
}
