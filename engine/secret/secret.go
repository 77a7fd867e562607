package secret

import (
	"fmt"
	"log/slog"
)

const dots = "•••"

// Secret is a password or token that does not print. The value is behind a
// pointer, because fmt does not ask an unexported field of another struct how
// it wants to be printed. The zero value is empty.
type Secret struct{ value *string }

// New wraps a value.
func New(value string) Secret { return Secret{&value} }

// Empty says whether there is none.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Reveal gives the value, for the wire.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String gives dots.
func (Secret) String() string { return dots }

// GoString gives dots.
func (Secret) GoString() string { return dots }

// Format gives dots for every verb.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(dots)) //nolint:errcheck // a formatter has nobody to tell
}

// LogValue gives dots.
func (Secret) LogValue() slog.Value { return slog.StringValue(dots) }

// MarshalText gives dots, and so does every encoder built on it.
func (Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }
