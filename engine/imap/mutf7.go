package imap

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
)

// mutf7 is the base64 of mailbox names, with "," for "/" and without padding
// (RFC 3501 §5.1.3).
var mutf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding)

// decodeMailbox decodes a mailbox name from the wire for display. It accepts
// any input and returns valid UTF-8. What is not modified UTF-7 stays as it is,
// and stray octets become U+FFFD. Different raw names may decode to the same
// text.
func decodeMailbox(raw string) string {
	if !strings.Contains(raw, "&") {
		return strings.ToValidUTF8(raw, "\uFFFD")
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(raw, "&")
		out.WriteString(before)
		if !found {
			break
		}
		// Looking only at the alphabet keeps a name of many "&" linear.
		n := strings.IndexFunc(rest, func(r rune) bool { return !shiftRune(r) })
		if n >= 0 && rest[n] == '-' {
			if text, ok := decodeShift(rest[:n]); ok {
				out.WriteString(text)
				raw = rest[n+1:]
				continue
			}
		}
		out.WriteByte('&')
		raw = rest
	}
	return strings.ToValidUTF8(out.String(), "\uFFFD")
}

func shiftRune(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == ','
}

// decodeShift decodes what stands between "&" and "-".
func decodeShift(code string) (string, bool) {
	if code == "" {
		return "&", true
	}
	b, err := mutf7.DecodeString(code)
	if err != nil || len(b)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return string(utf16.Decode(units)), true // lone surrogates become U+FFFD
}
