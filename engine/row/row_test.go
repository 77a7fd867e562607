package row

import (
	"testing"
	"time"

	"mailcote/engine/message"
)

// TestReceivedAt: a date is the server's, within what RFC 3339 can write, and
// the message's only where the server says none.
func TestReceivedAt(t *testing.T) {
	at := func(s string) (t time.Time) {
		if s != "" {
			var err error
			if t, err = time.Parse(time.RFC3339, s); err != nil {
				panic(err)
			}
		}
		return t
	}
	for name, one := range map[string]struct{ internal, sent, received, want string }{
		"usual":                    {"2024-03-01T10:00:00Z", "2024-02-29T10:00:00Z", "", "2024-03-01T10:00:00Z"},
		"another zone":             {"2024-03-01T10:00:00+02:00", "", "", "2024-03-01T08:00:00Z"},
		"start of 1970":            {"1970-01-01T00:00:00Z", "2024-02-29T10:00:00Z", "", "1970-01-01T00:00:00Z"},
		"in 1970":                  {"1970-06-01T00:00:00Z", "", "", "1970-06-01T00:00:00Z"},
		"1970, but not in UTC":     {"1970-01-01T00:30:00+01:00", "", "", "1970-01-01T00:00:00Z"},
		"before 1970":              {"1904-01-01T00:00:00Z", "2024-02-29T10:00:00Z", "", "1970-01-01T00:00:00Z"},
		"in the future":            {"2098-07-01T12:00:00Z", "2024-02-29T10:00:00Z", "", "2098-07-01T12:00:00Z"},
		"end of 9999":              {"9999-12-31T23:59:59Z", "", "", "9999-12-31T23:59:59Z"},
		"after 9999 in UTC":        {"9999-12-31T23:59:59-05:00", "", "", "9999-12-31T23:59:59Z"},
		"none, but sent":           {"", "2024-02-29T10:00:00Z", "2024-02-29T10:01:00Z", "2024-02-29T10:00:00Z"},
		"none, but received":       {"", "", "2024-02-29T10:01:00Z", "2024-02-29T10:01:00Z"},
		"none, sent long ago":      {"", "1850-01-01T00:00:00Z", "", "1970-01-01T00:00:00Z"},
		"none, sent much later":    {"", "2400-01-01T00:00:00Z", "", "2400-01-01T00:00:00Z"},
		"nothing, not a guess":     {"", "", "", "1970-01-01T00:00:00Z"},
		"a leap day in the future": {"2400-02-29T00:00:00Z", "", "", "2400-02-29T00:00:00Z"},
	} {
		v := message.View{SentDate: at(one.sent), ReceivedDate: at(one.received)}
		if got := ReceivedAt(at(one.internal), v); !got.Equal(at(one.want)) || got.Location() != time.UTC {
			t.Errorf("%s: %v, want %s", name, got, one.want)
		}
	}
}

// TestDated: a stored message is known by dates that every version stored as
// they were.
func TestDated(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, known := range []time.Time{time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC), now.AddDate(-3, 0, 0), now} {
		if got := Dated(known, now); !got.Equal(known) {
			t.Errorf("%v: %v", known, got)
		}
	}
	for _, unknown := range []time.Time{{}, time.Unix(0, 0), time.Date(1970, 12, 31, 0, 0, 0, 0, time.UTC),
		now.Add(time.Second), now.AddDate(99, 0, 0)} {
		if got := Dated(unknown, now); !got.IsZero() {
			t.Errorf("%v: %v", unknown, got)
		}
	}
}
