package engine

import (
	"strings"
	"testing"

	"mailcote/testkit/script"
)

// TestDates: the date of a message is what the server says, however odd, and
// every store of the mailbox has the same.
func TestDates(t *testing.T) {
	const written = "Date: Thu, 29 Feb 2024 10:00:00 +0000\r\n"
	const hop = "Received: from a by b; Fri, 1 Mar 2024 07:30:00 +0000\r\n"
	cases := []struct{ says, header, want string }{
		{"05-Mar-2024 10:00:00 +0000", "", "2024-03-05T10:00:00Z"},
		{"01-Jan-1970 00:00:00 +0000", "", "1970-01-01T00:00:00Z"},
		{" 1-Jan-1970 00:00:01 +0000", written, "1970-01-01T00:00:01Z"},
		{"31-Dec-1970 23:59:59 +0000", "", "1970-12-31T23:59:59Z"},
		{"01-Jan-1904 00:00:00 +0000", "", "1970-01-01T00:00:00Z"},
		{"01-Jan-1904 00:00:00 +0000", written, "1970-01-01T00:00:00Z"},
		{"07-Feb-2106 06:28:15 +0000", "", "2106-02-07T06:28:15Z"},
		{"19-Jan-2098 03:14:08 -0800", written, "2098-01-19T11:14:08Z"},
		{"31-Dec-9999 23:59:59 +0000", "", "9999-12-31T23:59:59Z"},
		{"31-Dec-9999 23:59:59 -1200", "", "9999-12-31T23:59:59Z"},
		{"00-Jan-0000 00:00:00 +0000", "", "1970-01-01T00:00:00Z"},
		{"00-Jan-0000 00:00:00 +0000", written, "2024-02-29T10:00:00Z"},
		{"yesterday", hop, "2024-03-01T07:30:00Z"},
		{"-", written + hop, "2024-02-29T10:00:00Z"},
		{"-", hop, "2024-03-01T07:30:00Z"},
		{"-", "", "1970-01-01T00:00:00Z"},
	}
	s, w := scripted(t, 0, script.Options{}, Options{})
	var want []string
	s.Change(func(m *script.Model) {
		box := m.Box("INBOX")
		for _, one := range cases {
			box.Add([]byte(one.header + "Subject: " + one.says + "\r\n\r\n" + one.want + one.header + "\r\n"))
			box.Messages[len(box.Messages)-1].Dated = one.says
			want = append(want, one.want)
		}
	})
	const dates = `SELECT date FROM mail ORDER BY uid`
	w.complete()
	got := strings.Split(w.text(dates), "\n")
	for i, one := range cases {
		if len(got) != len(cases) || got[i] != one.want {
			t.Errorf("%q, %q: %v, want %s", one.says, one.header, got[min(i, len(got)-1)], one.want)
		}
	}
	other := open(t, t.TempDir()+"/other.db", Options{}).account(s.Host(), s.Port())
	other.complete()
	if again := other.text(dates); again != strings.Join(want, "\n") {
		t.Errorf("another store: %s", again)
	}
	newest := w.text(`SELECT date FROM mail ORDER BY date DESC LIMIT 3`)
	if newest != "9999-12-31T23:59:59Z\n9999-12-31T23:59:59Z\n2106-02-07T06:28:15Z" {
		t.Errorf("the newest: %s", newest)
	}
	if n := w.text(`SELECT count(*) FROM mail WHERE date <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now')`); n != "12" {
		t.Errorf("%s are not in the future", n)
	}
	w.complete() // nothing is taken for another message
	if n := w.text(`SELECT sum(fetched) FROM (SELECT max(id), fetched FROM sync_run)`); n != "0" {
		t.Errorf("the second pass fetched %s", n)
	}
}
