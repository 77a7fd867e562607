package storage_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"mailcote/engine/message"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/faultvfs"
	"mailcote/testkit/form"
)

// TestPowerLoss is FAULTS' bar 2: mailcote's own work is recorded, power fails at any moment of it, and what the
// disk may hold then is opened. It is one of the states that were acknowledged, or the one that was being
// committed, in every row. With synchronous = OFF the same must show damage, or nothing was tested.
func TestPowerLoss(t *testing.T) {
	images, weak := 150, 20
	if form.Long() {
		images, weak = 10_200, 300
	}
	seed := form.Seed(t, 0)
	if err := faultvfs.Register(); err != nil {
		t.Fatal(err)
	}
	full, off := powerLoss(t, "FULL", seed, images), powerLoss(t, "OFF", seed, weak)
	t.Logf("synchronous FULL: %v", full)
	t.Logf("synchronous OFF: %v", off)
	if full.damaged+full.lost > 0 || full.images < images {
		t.Errorf("with synchronous FULL: %v", full)
	}
	if off.damaged == 0 || off.damaged+off.lost < off.images/2 {
		t.Errorf("the negative control shows no damage: %v", off)
	}
}

// toll is what power losses did.
type toll struct{ images, damaged, lost, steps, operations int }

func (c toll) String() string {
	return fmt.Sprintf("%d images of %d operations in %d acknowledged steps: %d damaged, %d lost or changed what was "+
		"acknowledged", c.images, c.operations, c.steps, c.damaged, c.lost)
}

// powerLoss works, at most 600 images from one work, and counts what goes wrong.
func powerLoss(t *testing.T, synchronous string, seed uint64, images int) (sum toll) {
	t.Helper()
	for n := uint64(0); sum.images < images; n++ {
		one := recordWork(t, synchronous, seed+n)
		one.lose(&sum, min(images-sum.images, 600))
		if images > 1000 {
			t.Logf("so far %v", sum)
		}
		if t.Failed() {
			break
		}
	}
	return sum
}

// stateOf hashes every row of every table. What is staged does not count: a start clears it away.
func stateOf(s *storage.Store) (state [sha256.Size]byte, err error) {
	sum := sha256.New()
	err = s.Read(context.Background(), func(r *storage.Reader) error {
		var names []string
		rows, err := tables.Of(r).Query(`SELECT name FROM pragma_table_list
			WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite%' ORDER BY name`)
		if err := tables.Each(rows, err, func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			names = append(names, name)
			return err
		}); err != nil {
			return err
		}
		for _, name := range names {
			query := `SELECT * FROM ` + name
			switch name {
			case "blob":
				query += ` WHERE state = 'sealed'`
			case "blob_piece":
				query += ` WHERE blob_id IN (SELECT id FROM blob WHERE state = 'sealed')`
			}
			rows, err := tables.Of(r).Query(query)
			if err != nil {
				return err
			}
			columns, err := rows.Columns()
			if err != nil {
				return errors.Join(err, rows.Close())
			}
			values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			fmt.Fprintf(sum, "%s\n", name)
			if err := tables.Each(rows, nil, func(rows *sql.Rows) error {
				if err := rows.Scan(into...); err != nil {
					return err
				}
				for _, v := range values {
					fmt.Fprintf(sum, "%d %t ", len(v), v == nil)
					sum.Write(v)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return [sha256.Size]byte(sum.Sum(nil)), err
}

// lose cuts the power at random moments and looks at what is left.
func (w *work) lose(sum *toll, images int) {
	w.t.Helper()
	first := w.steps[0].acked
	cuts := make([]int, images)
	for i := range cuts {
		cuts[i] = first + w.random.IntN(w.log.Len()-first+1)
	}
	slices.Sort(cuts)
	d := w.log.Disk()
	dir := w.t.TempDir()
	for i, cut := range cuts {
		d.Advance(cut)
		at, _ := slices.BinarySearchFunc(w.steps, cut+1, func(s step, cut int) int { return s.acked - cut })
		damage, lost := w.opened(filepath.Join(dir, strconv.Itoa(i)), d.Lose(w.random), at, i%20 == 0)
		if w.strong && (damage != nil || lost) {
			w.t.Errorf("power loss after %d of %d operations, %d steps acknowledged: %v, lost or changed: %t", cut,
				w.log.Len(), at, damage, lost)
		}
		if damage != nil {
			sum.damaged++
		} else if lost {
			sum.lost++
		}
	}
	sum.images, sum.steps, sum.operations = sum.images+images, sum.steps+len(w.steps), sum.operations+w.log.Len()
}

// opened opens an image as its owner would. at steps had been acknowledged.
func (w *work) opened(dir string, files map[string][]byte, at int, thorough bool) (damage error, lost bool) {
	w.t.Helper()
	w.must(os.Mkdir(dir, 0o700))
	defer os.RemoveAll(dir)
	w.must(faultvfs.Place(dir, files))
	s, err := storage.Open(context.Background(), filepath.Join(dir, filepath.Base(w.path)),
		storage.Options{Holder: "test"})
	if err != nil {
		return err, false
	}
	defer s.Close()
	var verdict string
	if err := s.Read(context.Background(), func(r *storage.Reader) error {
		return tables.Of(r).QueryRow(`PRAGMA
		integrity_check`).Scan(&verdict)
	}); err != nil || verdict != "ok" {
		return fmt.Errorf("integrity_check: %q, %w", verdict, err), false
	}
	state, err := stateOf(s)
	if err != nil {
		return err, false
	}
	lost = state != w.steps[at-1].state
	if at < len(w.steps) {
		lost = lost && state != w.steps[at].state && !w.steps[at].loose
	}
	if thorough && !lost {
		parse := func(r io.Reader) storage.Header { return row.Header(message.Parse(r, message.Limits{})) }
		if found, err := s.Check(context.Background(), storage.CheckOptions{Parse: parse}); err != nil ||
			len(found) > 0 {
			return fmt.Errorf("check: %v, %w", found, err), false
		}
	}
	return nil, lost
}
