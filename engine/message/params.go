package message

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// param is one "name=value". The name is lower case and keeps its RFC 2231
// asterisks.
type param struct{ name, value string }

type params []param

// splitParams parses "value; name=value; …" as far as possible. The value ends
// at whatever cannot belong to it, so a missing semicolon loses nothing, and its
// comments are dropped. Unquoted parameters may contain spaces
// (name=my file.pdf) and end at a semicolon, or at the name of another one. The
// parameters are valid until the next call.
func (cs *charsets) splitParams(body []byte) (string, params) {
	if len(body) > 64<<10 {
		body = body[:64<<10]
	}
	body = withoutComments(body)
	value, rest := cutValue(body)
	list := cs.params[:0]
	for len(rest) > 0 && len(list) < 100 {
		rest = bytes.TrimLeft(rest, ";, \t\r\n\x00")
		eq := bytes.IndexAny(rest, "=;")
		if eq < 0 {
			break
		}
		name := strings.ToLower(string(bytes.TrimSpace(rest[:eq])))
		if rest[eq] == ';' {
			rest = rest[eq:]
			continue
		}
		name = strings.ReplaceAll(name, " *", "*")
		if i := strings.LastIndexAny(name, " \t\r\n"); i >= 0 {
			name = name[i+1:]
		}
		var v string
		v, rest = paramValue(bytes.TrimLeft(rest[eq+1:], " \t\r\n"))
		if name != "" {
			list = append(list, param{name, v})
		}
	}
	cs.params = list
	return value, list
}

// cutValue cuts the leading value off a field body: a token, or two with a slash
// between them (RFC 2045 §5.1). Brackets, a backslash, several slashes and marks
// behind it occur.
func cutValue(body []byte) (string, []byte) {
	body = bytes.TrimLeft(body, "<\"' \t\r\n")
	if n := len("content-type:"); len(body) > n && bytes.EqualFold(body[:n], []byte("content-type:")) {
		body = bytes.TrimLeft(body[n:], " \t\r\n") // the name of the field, twice
	}
	n := token(body)
	value, rest := body[:n], body[n:]
	after := bytes.TrimLeft(rest, " \t\r\n")
	if m := slashed(rest); m > 0 { // the usual case
		value, rest = body[:n+1+m], rest[1+m:]
	} else if len(after) > 0 && (after[0] == '/' || after[0] == '\\') {
		after = bytes.TrimLeft(after[1:], "/\\ \t\r\n")
		n := token(after)
		value = append(append(bytes.Clone(value), '/'), after[:n]...)
		rest = after[n:]
	} else if len(after) > 0 && after[0] == '=' { // a parameter, and no value before it
		value, rest = nil, body
	}
	if len(value) > 255 {
		value = value[:255]
	}
	return strings.ToLower(string(bytes.TrimRight(value, "."))), bytes.TrimLeft(rest, ">\"'/:, \t\r\n")
}

// slashed returns the length of the token behind a slash.
func slashed(b []byte) int {
	if len(b) == 0 || b[0] != '/' {
		return 0
	}
	return token(b[1:])
}

// token returns the length of the token at the start of b.
func token(b []byte) int {
	for i, c := range b {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?='", c) >= 0 {
			return i
		}
	}
	return len(b)
}

// withoutComments removes the comments of a structured field body (RFC 5322
// §3.2.2). One that never ends is text.
func withoutComments(body []byte) []byte {
	if bytes.IndexByte(body, '(') < 0 {
		return body
	}
	out := make([]byte, 0, len(body))
	quoted, depth, begin := false, 0, 0
	var names unquotedNames
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '\\' && (quoted || depth > 0) && i+1 < len(body):
			if i++; depth == 0 {
				out = append(out, c, body[i])
			}
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted && !names.hold(body, i):
			if depth++; depth == 1 {
				begin = i
			}
			continue
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				out = append(out, ' ')
			}
			continue
		}
		if depth == 0 {
			out = append(out, c)
		}
	}
	if depth > 0 {
		out = append(out, body[begin:]...)
	}
	return out
}

// unquotedNames finds the parentheses that belong to an unquoted name, as in
// name=report (2).pdf. It remembers what it has looked at, which keeps a flood
// of parentheses linear.
type unquotedNames struct {
	at     int  // the first byte that was not looked at
	value  bool // an "=" came since the last semicolon
	quoted bool // so did a quote
	closer int  // the next ")" when it was last looked for
}

// hold reports whether the parenthesis at i belongs to one. i only grows.
func (n *unquotedNames) hold(body []byte, i int) bool {
	for ; n.at < i; n.at++ {
		switch body[n.at] {
		case ';':
			n.value, n.quoted = false, false
		case '=':
			n.value = true
		case '"':
			n.quoted = true
		}
	}
	if !n.value || n.quoted {
		return false
	}
	if n.closer < i {
		n.closer = len(body)
		if end := bytes.IndexByte(body[i:], ')'); end >= 0 {
			n.closer = i + end
		}
	}
	return n.closer+1 < len(body) && body[n.closer+1] > ' ' && body[n.closer+1] != ';'
}

func paramValue(b []byte) (string, []byte) {
	if len(b) == 0 || b[0] != '"' {
		end := bytes.IndexByte(b, ';')
		if end < 0 {
			end = len(b)
		}
		for i := 1; i < end; i++ {
			if (b[i-1] == ' ' || b[i-1] == '\t' || b[i-1] == '\n') && isParam(b[i:end]) {
				end = i
			}
		}
		return strings.TrimSpace(string(b[:end])), b[end:]
	}
	var v strings.Builder
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return v.String(), b[i+1:]
		case c == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\'):
			i++ // any other backslash is literal: some Windows programs send paths
			v.WriteByte(b[i])
		case c == '\r' || c == '\n':
		default:
			v.WriteByte(c)
		}
	}
	return v.String(), nil
}

// isParam reports whether text begins with a parameter that mail knows.
func isParam(b []byte) bool {
	eq := bytes.IndexByte(b[:min(len(b), 24)], '=')
	if eq < 0 {
		return false
	}
	name, _, _ := bytes.Cut(bytes.TrimRight(b[:eq], " \t"), []byte("*"))
	var buf [24]byte
	switch string(lower(buf[:0], name)) {
	case "boundary", "charset", "name", "filename", "format", "delsp", "type", "start", "method", "report-type",
		"protocol", "micalg", "size", "creation-date", "modification-date", "read-date":
		return true
	}
	return false
}

// lower appends text in lower case.
func lower(dst, s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// value returns a parameter as written.
func (ps params) value(name string) string {
	for _, p := range ps {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// get returns a parameter that is meant for programs.
func (ps params) get(name string, cs *charsets) string {
	if v := ps.value(name); v != "" {
		return v
	}
	return ps.extended(name, cs)
}

// text returns a parameter that is meant for people. RFC 2231 comes first.
// Otherwise encoded words are decoded, which many senders put there against the
// standard.
func (ps params) text(name string, cs *charsets) string {
	if v := ps.extended(name, cs); v != "" {
		return v
	}
	return cs.header(ps.value(name))
}

// piece is one of the pieces of a long value, "name*2*" (RFC 2231 §3).
type piece struct {
	n       int // -1: it is the whole
	percent bool
	value   string
}

// pieces returns the pieces of a value, in order. Some senders count from 1 or
// leave one out. Of two with one number the first counts. A whole value comes
// before pieces.
// The slice is valid until the next call.
func (cs *charsets) pieces(ps params, name string) []piece {
	list := cs.scratch[:0]
	for _, p := range ps {
		rest, ok := strings.CutPrefix(p.name, name)
		if !ok || !strings.HasPrefix(rest, "*") {
			continue
		}
		rest = rest[1:]
		digits, percent := strings.CutSuffix(rest, "*")
		n, err := strconv.Atoi(digits)
		switch {
		case rest == "":
			return append(list[:0], piece{-1, true, p.value})
		case err == nil && n >= 0 && !slices.ContainsFunc(list, func(p piece) bool { return p.n == n }):
			list = append(list, piece{n, percent, p.value})
		}
	}
	slices.SortFunc(list, func(a, b piece) int { return a.n - b.n })
	cs.scratch = list
	return list
}

// extended joins name*, name*0, name*1*… (RFC 2231 §3, §4).
func (ps params) extended(name string, cs *charsets) string {
	list := cs.pieces(ps, name)
	if len(list) == 0 || list[0].n > 0 && ps.value(name) != "" {
		return ""
	}
	var raw []byte
	charset, percent := "", false
	for i, p := range list {
		if !p.percent {
			raw = append(raw, p.value...)
			continue
		}
		percent = true
		if i == 0 {
			if set, rest, ok := strings.Cut(p.value, "'"); ok {
				if _, text, ok := strings.Cut(rest, "'"); ok {
					charset, p.value = set, text
				}
			}
		}
		raw = appendPercent(raw, p.value)
	}
	if !percent {
		return cs.header(string(raw)) // RFC 2047 words, cut into pieces
	}
	text := oneLine(cs.toUTF8(raw, charset))
	if strings.Contains(text, "=?") {
		return oneLine(cs.words(text))
	}
	return text
}

func appendPercent(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

// clip keeps at most n characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}
