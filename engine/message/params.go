package message

import (
	"bytes"
	"strconv"
	"strings"
)

// part is what a part's header says.
type part struct {
	path       string
	mediaType  string // lower case
	boundary   string
	charset    string // as declared
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
	p := part{mediaType: "text/plain"}
	if digest {
		p.mediaType = "message/rfc822"
	}
	var seen [fieldContentID + 1]bool
	var dispositionName string
	for _, f := range fields {
		if f.name < fieldType || seen[f.name] {
			continue
		}
		seen[f.name] = true
		switch f.name {
		case fieldType:
			value, params := cs.splitParams(f.body)
			if strings.Contains(value, "/") && !strings.ContainsFunc(value, func(r rune) bool {
				return r <= ' ' || r == 0x7f || r == '"'
			}) {
				p.mediaType = strings.ToValidUTF8(value, "\ufffd")
			}
			p.charset = params.get("charset", cs)
			p.boundary = params.get("boundary", cs)
			p.name = params.text("name", cs)
		case fieldEncoding:
			p.encoding = codecOf(f.body)
		case fieldDisposition:
			value, params := cs.splitParams(f.body)
			p.attachment = value == "attachment"
			p.inline = value == "inline"
			dispositionName = params.text("filename", cs)
		case fieldContentID:
			id := string(f.body[:min(len(f.body), maxParam)])
			if ids := messageIDs(id, 1); len(ids) == 1 {
				p.contentID = ids[0]
			}
		}
	}
	if dispositionName != "" {
		p.name = dispositionName
	}
	p.name = clip(p.name, 255)
	return p
}

// param is one "name=value". The name is lower case and keeps its RFC 2231
// asterisks.
type param struct{ name, value string }

type params []param

// splitParams parses "value; name=value; …" as far as possible. Unquoted values
// may contain spaces (Outlook: name=my file.pdf) and end at a semicolon. The
// parameters are valid until the next call.
func (cs *charsets) splitParams(body []byte) (string, params) {
	if len(body) > 64<<10 {
		body = body[:64<<10]
	}
	head, rest, _ := bytes.Cut(body, []byte(";"))
	value := strings.ToLower(string(bytes.TrimSpace(head)))
	if len(value) > 255 {
		value = value[:255]
	}
	list := cs.params[:0]
	for len(rest) > 0 && len(list) < 100 {
		rest = bytes.TrimLeft(rest, "; \t\r\n\x00")
		eq := bytes.IndexAny(rest, "=;")
		if eq < 0 {
			break
		}
		name := strings.ToLower(string(bytes.TrimSpace(rest[:eq])))
		if rest[eq] == ';' {
			rest = rest[eq:]
			continue
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

func paramValue(b []byte) (string, []byte) {
	if len(b) == 0 || b[0] != '"' {
		end := bytes.IndexByte(b, ';')
		if end < 0 {
			end = len(b)
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
	var raw []byte
	charset, found := "", false
	add := func(v string, encoded, first bool) {
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
		if (n < 0 && hit) || (n >= 0 && !hit) {
			break
		}
	}
	if !found {
		return ""
	}
	return oneLine(cs.toUTF8(raw, charset))
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
