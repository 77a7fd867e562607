package storage

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/sql.md promises the views: it names exactly their columns, in their order, and its examples run.
func TestViewsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/sql.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		view, body, _ := strings.Cut(section, "\n")
		for _, row := range regexp.MustCompile(`(?m)^\| (\w+) \| \w+ \| \S`).FindAllStringSubmatch(body, -1) {
			if row[1] != "column" {
				documented[view] = append(documented[view], row[1])
			}
		}
	}
	b := checkBed(t)
	actual := map[string][]string{}
	if err := b.SQL(t.Context(), `SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c
		WHERE m.type = 'view' ORDER BY m.rowid, c.cid`, func(_ []string, v []any) error {
		view := v[0].(string)
		actual[view] = append(actual[view], v[1].(string))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for view, columns := range actual {
		if !slices.Equal(columns, documented[view]) {
			t.Errorf("view %s has the columns\n%v\ndocs/sql.md names\n%v", view, columns, documented[view])
		}
	}
	for view := range documented {
		if actual[view] == nil {
			t.Errorf("docs/sql.md names a view %s, which is not there", view)
		}
	}
	examples := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(examples) != len(actual) {
		t.Errorf("%d examples for %d views", len(examples), len(actual))
	}
	for _, one := range examples {
		if err := b.SQL(t.Context(), one[1], func([]string, []any) error { return nil }); err != nil {
			t.Errorf("%s: %v", one[1], err)
		}
	}
}

// The formats that docs/sql.md promises.
func TestViewFormats(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1, `\Seen`, "custom"))
	want := fmt.Sprintf(`ada|INBOX|1|<1@example.org>|2023-11-14T22:13:21Z|2020-09-13T12:26:40Z|\Seen custom|%x|1|-`,
		b.packer.Pack(raw(1)).SHA256)
	if got := text(t, b.Store, `SELECT concat_ws('|', account, mailbox, uid, message_id, date, sent_date, flags,
		sha256, has_body, coalesce(pending, '-')) FROM mail`); got != want {
		t.Errorf("mail has\n%s, want\n%s", got, want)
	}
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Raw().Exec(`INSERT INTO sync_task (account_id, task_type, state, created_at)
			VALUES (1, 'folder_sync', 'paused', 1700000000123)`)
		return err
	})
	if got := text(t, b.Store, `SELECT concat_ws('|', status, state, created_at, priority, max_retries)
		FROM sync_tasks`); got != "pending|paused|2023-11-14T22:13:20.123Z|5|5" {
		t.Errorf("sync_tasks has %s", got)
	}
}
