package answer

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// TestValues: what each value is in JSON.
func TestValues(t *testing.T) {
	at := time.Date(2026, 11, 30, 15, 4, 5, 123_456_789, time.FixedZone("", 3600))
	for _, one := range []struct {
		value any
		want  string
	}{
		{Text(""), `null`},
		{Text("a \"name\"\n\u2028"), `"a \"name\"\n\u2028"`},
		{Text("half \xe2\x82 a letter"), `"half \ufffd\ufffd a letter"`},
		{At(at), `"2026-11-30T14:04:05.123Z"`},
		{At(at.Truncate(time.Second)), `"2026-11-30T14:04:05Z"`},
		{Time{}, `null`},
		{At(time.Time{}.In(time.FixedZone("", -3600))), `null`},
		{At(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), `null`},
		{At(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)), `null`},
		{At(time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))), `null`},
		{At(time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)), `null`},
		{Number(0.1 + 0.2), `0.3`},
		{Number(12.34567), `12.346`},
		{Number(1e-9), `0`},
		{Number(math.Copysign(1e-9, -1)), `0`},
		{Number(1e21), `1000000000000000000000`},
		{Number(math.Inf(1)), `null`},
		{Number(math.NaN()), `null`},
		{Some(0), `null`},
		{Some(int64(math.MaxInt64)), `9223372036854775807`},
		{Some(false), `null`},
	} {
		if got, err := json.Marshal(one.value); err != nil || string(got) != one.want {
			t.Errorf("%#v: %s, %v, want %s", one.value, got, err, one.want)
		}
	}
}

// TestTimeComesBack: a reader of an answer gets the time, or the zero one.
func TestTimeComesBack(t *testing.T) {
	at := time.Date(2026, 11, 30, 15, 4, 5, 7_000_000, time.UTC)
	for text, want := range map[string]time.Time{`null`: {}, `"2026-11-30T15:04:05.007Z"`: at} {
		got := At(at.Add(1))
		if err := json.Unmarshal([]byte(text), &got); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
