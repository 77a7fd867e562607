package secret

import (
	"fmt"
	"log/slog"
)

const dots = "•••"

// Secret is a password or token that does not print. The value is behind a
// pointer because fmt does not call the methods of an unexported field: it
// would print a plain string. The zero value is empty.
type Secret struct{ value *string }

// New wraps a value.
func New(value string) Secret { return Secret{&value} }

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// Reveal returns the value, for the wire.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns dots.
func (Secret) String() string { return dots }

// GoString returns dots.
func (Secret) GoString() string { return dots }

// Format writes dots for every verb.
func (Secret) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(dots)) //nolint:errcheck // a formatter has nobody to tell
}

// LogValue returns dots.
func (Secret) LogValue() slog.Value { return slog.StringValue(dots) }

// MarshalText returns dots. Encoders such as encoding/json use it.
func (Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }
