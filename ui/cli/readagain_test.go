package cli_test

import (
	"strings"
	"testing"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

// TestReadAgain: mail that an older version has read is read again by the next sync, which says so before in status and
// ends when it is done. Only what changes is told as changed.
func TestReadAgain(t *testing.T) {
	r := newRig(t, dovecot.Config{})
	r.fill(41, 40, 2, corpus.Options{AvgSize: 2000})
	r.sync()
	if o := r.exits(0, "status", "--json"); !strings.Contains(o.out, `"outdated_views":0`) {
		t.Errorf("status after a sync: %s", o.out)
	}
	subjects := r.number(`SELECT count(DISTINCT subject) AS n FROM mail`)
	r.alter(r.store, `UPDATE email SET subject = 'older' WHERE id <= 3; UPDATE meta SET value = 1 WHERE key = 'reader';
		INSERT INTO outdated_view SELECT id FROM email`)
	changed := r.number(`SELECT max(changed_no) AS n FROM changes`)
	emails := r.number(`SELECT count(*) AS n FROM email`)
	if o := r.exits(0, "status"); !strings.Contains(o.out, "messages are to be read again") {
		t.Errorf("status: %s", o.out)
	}
	r.sync()
	if n := r.number(`SELECT count(DISTINCT subject) AS n FROM mail`); n != subjects {
		t.Errorf("%d subjects, want %d", n, subjects)
	}
	if n := r.number(`SELECT count(*) AS n FROM outdated_view`); n != 0 {
		t.Errorf("%d of %d emails are still to be read again", n, emails)
	}
	if n := r.number(`SELECT max(changed_no) AS n FROM changes`); n != changed+3 {
		t.Errorf("the change number went from %d to %d, want 3 more", changed, n)
	}
	if o := r.exits(0, "status", "--json"); !strings.Contains(o.out, `"outdated_views":0`) {
		t.Errorf("status: %s", o.out)
	}
	r.exits(0, "check")
}
