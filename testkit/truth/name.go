package truth

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// EncodeName gives a mailbox name in modified UTF-7 (RFC 3501 §5.1.3).
func EncodeName(name string) string {
	var b strings.Builder
	var run []rune
	flush := func() {
		if len(run) == 0 {
			return
		}
		var wide []byte
		for _, unit := range utf16.Encode(run) {
			wide = binary.BigEndian.AppendUint16(wide, unit)
		}
		b.WriteString("&" + strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(wide), "/", ",") + "-")
		run = nil
	}
	for _, r := range name {
		if r < 0x20 || r > 0x7e {
			run = append(run, r)
			continue
		}
		flush()
		b.WriteRune(r)
		if r == '&' {
			b.WriteByte('-')
		}
	}
	flush()
	return b.String()
}

// DecodeName is the inverse of EncodeName; what is not modified UTF-7 stays as it is.
func DecodeName(wire string) string {
	var b strings.Builder
	for {
		before, shifted, found := strings.Cut(wire, "&")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		code, rest, found := strings.Cut(shifted, "-")
		wide, err := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(code, ",", "/"))
		if !found || err != nil || len(wide)%2 != 0 {
			b.WriteString("&" + shifted)
			return b.String()
		}
		if code == "" {
			b.WriteByte('&')
		}
		units := make([]uint16, len(wide)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(wide[2*i:])
		}
		b.WriteString(string(utf16.Decode(units)))
		wire = rest
	}
}
