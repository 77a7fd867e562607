package message

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Charsets whose text is 7-bit: ISO 2022, HZ and UTF-7.

// escapes recognises the charsets of ISO 2022 by the sequences that switch to
// their sets of characters (RFC 1468, 1554, 1557, 1922).
func escapes(b []byte) (charsetKind, bool) {
	for i := bytes.IndexByte(b, 0x1b); i >= 0 && i+2 < len(b); {
		switch seq := string(b[i+1 : min(len(b), i+4)]); {
		case seq[:2] == "$B", seq[:2] == "$@", seq[:2] == "(I", seq == "$(D", seq == "$(@", seq == "$(B":
			return iso2022jp, true
		case seq == "$)C":
			return iso2022kr, true
		case seq == "$)A", seq == "$)G":
			return iso2022cn, true
		}
		n := bytes.IndexByte(b[i+1:], 0x1b)
		if n < 0 {
			break
		}
		i += 1 + n
	}
	return 0, false
}

func decode7bit(kind charsetKind, b []byte) string {
	switch kind {
	case iso2022jp:
		b = bytes.ReplaceAll(b, []byte("\x1b$(B"), []byte("\x1b$B"))
		return decode(japanese.ISO2022JP, bytes.ReplaceAll(b, []byte("\x1b$(@"), []byte("\x1b$@")))
	case iso2022kr:
		return decode(korean.EUCKR, shifted(b))
	case iso2022cn:
		return decode(simplifiedchinese.GB18030, shifted(b))
	case hz:
		return decode(simplifiedchinese.HZGB2312, b)
	}
	return strings.ToValidUTF8(string(fromUTF7(b)), "\ufffd")
}

// fromUTF7 decodes RFC 2152. What breaks its rules stays as it is.
func fromUTF7(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		i := bytes.IndexByte(b, '+')
		if i < 0 {
			return append(out, b...)
		}
		out, b = append(out, b[:i]...), b[i+1:]
		n := 0
		for n < len(b) && sextet(b[n]) != 0xff {
			n++
		}
		word, err := base64.RawStdEncoding.DecodeString(string(b[:n]))
		switch {
		case n == 0:
			out = append(out, '+')
		case err != nil && len(word) < 2:
			out = append(append(out, '+'), b[:n]...)
		default:
			units := make([]uint16, 0, len(word)/2)
			for k := 0; k+1 < len(word); k += 2 {
				units = append(units, uint16(word[k])<<8|uint16(word[k+1]))
			}
			out = append(out, string(utf16.Decode(units))...)
		}
		if b = b[n:]; len(b) > 0 && b[0] == '-' {
			b = b[1:]
		}
	}
	return out
}

// shifted converts the 7-bit forms of Korean and Chinese (RFC 1557, RFC 1922) to
// the 8-bit ones: shifted bytes get their high bit.
func shifted(b []byte) []byte {
	out := make([]byte, 0, len(b))
	shift := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == 0x1b && i+3 < len(b) && b[i+1] == '$' && b[i+2] == ')':
			i += 3
		case c == 0x0e || c == 0x0f:
			shift = c == 0x0e
		case shift && c > ' ':
			out = append(out, c|0x80)
		default:
			out = append(out, c)
		}
	}
	return out
}
