package file

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"mailcote/storage/owner"
)

// The test binary is also another program: MAILCOTE_HOLDS names the store it reads.
func TestMain(m *testing.M) {
	if path := os.Getenv("MAILCOTE_HOLDS"); path != "" {
		if err := hold(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// openTest opens a file of its own and closes it with the test.
func openTest(t testing.TB) *File {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{})
}

// openAt opens a file as its owner.
func openAt(t testing.TB, path string, o Options) *File {
	t.Helper()
	if _, err := owner.Prepare(path, false); err != nil {
		t.Fatal(err)
	}
	var err error
	if o.Lock, err = owner.Acquire(path, "test"); err != nil {
		t.Fatal(err)
	}
	o.Path = path
	f, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(errors.Join(err, o.Lock.Release()))
	}
	t.Cleanup(func() {
		if err := errors.Join(f.Close(), o.Lock.Release()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// beside opens an owned file for reading.
func beside(t testing.TB, f *File, l *Limits) *File {
	t.Helper()
	second, err := Open(t.Context(), Options{Path: f.Path(), Limits: l})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
	return second
}

func write(t testing.TB, f *File, fn func(w *Tx) error) {
	t.Helper()
	if err := f.Write(context.Background(), Interactive, 0, fn); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, f *File, fn func(r *Snapshot) error) {
	t.Helper()
	if err := f.Read(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// number asks for one number.
func number(t testing.TB, f *File, query string, args ...any) (n int64) {
	t.Helper()
	read(t, f, func(r *Snapshot) error { return r.QueryRow(query, args...).Scan(&n) })
	return n
}

// text asks for one text.
func text(t testing.TB, f *File, query string, args ...any) (v string) {
	t.Helper()
	read(t, f, func(r *Snapshot) error { return r.QueryRow(query, args...).Scan(&v) })
	return v
}

// rowsAlone runs a query by ReadAlone and calls row for each row.
func rowsAlone(t testing.TB, f *File, query string, row func() error) error {
	return f.ReadAlone(t.Context(), func(ctx context.Context, conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, query)
		return Each(rows, err, func(*sql.Rows) error { return row() })
	})
}
