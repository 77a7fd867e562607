package answer

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Text is a string; "" is null.
type Text string

// MarshalJSON writes null for the empty text.
func (t Text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// Time is a time in UTC, in milliseconds. The zero time is null, and so is every
// other one of its year, and what RFC 3339 has no year for.
type Time struct{ time.Time }

// At makes a Time.
func At(t time.Time) Time { return Time{t} }

// MarshalJSON writes RFC 3339.
func (t Time) MarshalJSON() ([]byte, error) {
	at := t.UTC().Truncate(time.Millisecond)
	if year := at.Year(); year <= 1 || year > 9999 {
		return []byte("null"), nil
	}
	return at.AppendFormat(nil, `"`+time.RFC3339Nano+`"`), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		t.Time = time.Time{}
		return nil
	}
	return t.Time.UnmarshalJSON(text)
}

// Number is a figure that is not whole: seconds, or a part of one. It has at
// most three digits after the point. What is no number is null.
type Number float64

// MarshalJSON rounds.
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return []byte("null"), nil
	}
	if rounded := math.Round(f*1000) / 1000; math.Abs(f) < 1e15 {
		f = rounded
	}
	if f == 0 { // -0 is a number in JSON too
		f = 0
	}
	return strconv.AppendFloat(nil, f, 'f', -1, 64), nil
}

// Some is v, or null where v is what a number or a word is when nothing is
// known: 0 or "".
func Some[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
