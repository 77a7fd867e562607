package message

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// part is what a part's header says.
type part struct {
	path       string
	mediaType  string // lower case
	boundary   string
	charset    string // as declared
	untyped    bool   // there is no type that can be read
	flowed     bool   // format=flowed (RFC 3676)
	delSp      bool
	encoding   codec
	attachment bool // Content-Disposition: attachment
	inline     bool // Content-Disposition: inline
	name       string
	contentID  string
}

func (p *part) multipart() bool { return strings.HasPrefix(p.mediaType, "multipart/") }
func (p *part) message() bool {
	return p.mediaType == "message/rfc822" || p.mediaType == "message/global"
}

// maxParam bounds a content id, and the subject that names an attached message,
// in bytes before decoding.
const maxParam = 2000

// describe reads the MIME fields of a header. Of repeated fields the first
// counts.
func (cs *charsets) describe(fields []field, digest bool) part {
	p := part{mediaType: "text/plain", untyped: true}
	if digest {
		p.mediaType = "message/rfc822"
	}
	var seen [fieldContentID + 1]bool
	var typeName, dispositionName string
	broken := false // a type that is there and cannot be read
	for _, f := range fields {
		if f.name < fieldType || seen[f.name] {
			continue
		}
		seen[f.name] = true
		switch f.name {
		case fieldType:
			value, params := cs.splitParams(f.body)
			p.charset = params.get("charset", cs)
			cs.declare(p.charset)
			// RFC 2046 §5.1.1: a boundary does not end in white space.
			p.boundary = strings.TrimRight(params.get("boundary", cs), " \t\r\n")
			p.flowed = strings.EqualFold(params.value("format"), "flowed")
			p.delSp = strings.EqualFold(params.value("delsp"), "yes")
			typeName = params.text("name", cs)
			mediaType, ok := knownType(value, p.boundary != "")
			if p.untyped, broken = !ok, !ok && value != ""; ok {
				p.mediaType = strings.ToValidUTF8(mediaType, "\ufffd")
			}
		case fieldEncoding:
			p.encoding = codecOf(f.body)
		case fieldDisposition:
			value, params := cs.splitParams(f.body)
			p.attachment = value == "attachment"
			p.inline = value == "inline"
			dispositionName = params.text("filename", cs)
			if dispositionName == "" {
				dispositionName = params.text("name", cs)
			}
		case fieldContentID:
			id := string(f.body[:min(len(f.body), maxParam)])
			if ids := messageIDs(cs, id, 1); len(ids) == 1 {
				p.contentID = ids[0]
			}
		}
	}
	p.name = clip(typeName, 255)
	if dispositionName != "" {
		p.name = clip(dispositionName, 255)
	}
	if broken && (p.name != "" || p.attachment || p.encoding != identity) {
		// RFC 2045 §5.2 calls it text, but text needs neither name nor base64.
		p.mediaType, p.untyped = "application/octet-stream", false
	}
	return p
}

// knownType reads the value of a Content-Type without its parameters. A value
// that is no type and subtype may still have one meaning only.
func knownType(value string, boundary bool) (string, bool) {
	major, minor, slash := strings.Cut(value, "/")
	switch {
	case slash && major != "" && minor != "":
		return value, true
	case major == "multipart" || !slash && boundary:
		return "multipart/mixed", true
	case major == "text" || value == "plain":
		return "text/plain", true
	case value == "html":
		return "text/html", true
	case value == "message" || value == "rfc822":
		return "message/rfc822", true
	case slash && major != "":
		return major + "/octet-stream", true
	}
	return "", false
}

// param is one "name=value". The name is lower case and keeps its RFC 2231
// asterisks.
type param struct{ name, value string }

type params []param

// splitParams parses "value; name=value; …" as far as possible. The value ends
// at whatever cannot belong to it, so a missing semicolon loses nothing, and its
// comments are dropped. Unquoted parameters may contain spaces (Outlook:
// name=my file.pdf) and end at a semicolon, or at the name of another one. The
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
// between them (RFC 2045 §5.1).
func cutValue(body []byte) (string, []byte) {
	body = bytes.TrimLeft(body, "\"' \t\r\n")
	if n := len("content-type:"); len(body) > n && bytes.EqualFold(body[:n], []byte("content-type:")) {
		body = bytes.TrimLeft(body[n:], " \t\r\n") // the name of the field, twice
	}
	n := token(body)
	value, rest := body[:n], body[n:]
	after := bytes.TrimLeft(rest, " \t\r\n")
	if len(rest) > 0 && rest[0] == '/' { // the usual case
		m := token(rest[1:])
		value, rest = body[:n+1+m], rest[1+m:]
	} else if len(after) > 0 && after[0] == '/' {
		after = bytes.TrimLeft(after[1:], " \t\r\n")
		n := token(after)
		value = append(append(bytes.Clone(value), '/'), after[:n]...)
		rest = after[n:]
	} else if len(after) > 0 && after[0] == '=' { // a parameter, and no value before it
		value, rest = nil, body
	}
	if len(value) > 255 {
		value = value[:255]
	}
	return strings.ToLower(string(value)), bytes.TrimLeft(rest, "\"'/:, \t\r\n")
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

// extended joins name*, name*0, name*1*… (RFC 2231 §3, §4).
func (ps params) extended(name string, cs *charsets) string {
	if !slices.ContainsFunc(ps, func(p param) bool {
		rest, ok := strings.CutPrefix(p.name, name)
		return ok && strings.HasPrefix(rest, "*")
	}) {
		return ""
	}
	var raw []byte
	charset, found, percent := "", false, false
	add := func(v string, encoded, first bool) {
		percent = percent || encoded
		if found = true; !encoded {
			raw = append(raw, v...)
			return
		}
		if first {
			if set, rest, ok := strings.Cut(v, "'"); ok {
				if _, text, ok := strings.Cut(rest, "'"); ok {
					charset, v = set, text
				}
			}
		}
		raw = appendPercent(raw, v)
	}
	for n := -1; n < 100; n++ {
		base := name
		if n >= 0 {
			base += "*" + strconv.Itoa(n)
		}
		hit := false
		for _, p := range ps {
			if rest, ok := strings.CutPrefix(p.name, base); ok && (rest == "*" || (rest == "" && n >= 0)) {
				add(p.value, rest == "*", n <= 0)
				hit = true
				break
			}
		}
		if (n < 0 && hit) || (n > 0 && !hit) || (n == 0 && !hit && ps.value(name) != "") {
			break // some senders count from 1
		}
	}
	switch {
	case !found:
		return ""
	case !percent:
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
