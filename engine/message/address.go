package message

import (
	"strings"
)

// maxAddresses bounds ParseAddressList. Parse uses Limits.Addresses.
const maxAddresses = 10_000

// ParseAddressList parses the body of an address field (RFC 5322 §3.4). It
// accepts what programs make of it: semicolons between addresses, names with
// commas in encoded words, missing brackets, raw 8-bit names. Groups are
// flattened. An entry without anything usable is left out, and no entry makes
// the others unreadable.
func ParseAddressList(s string) []Address {
	list, _ := newCharsets().addresses(s, maxAddresses)
	return list
}

// maxName bounds a display name and an address, in bytes.
const maxName = 998

// addressReader reads an address list in one pass.
type addressReader struct {
	s   string
	pos int
	cs  *charsets

	name    strings.Builder // words outside <>, without quotes
	bare    strings.Builder // the same as written, in case it is the address
	comment string
	angle   string
	angled  bool

	// A quote, comment or word that is never closed is text. Remembering that
	// no more of a kind close keeps a flood of openers linear.
	noQuote, noComment bool
	wordEnd            int
}

func (cs *charsets) addresses(s string, max int) (list []Address, dropped int) {
	if !plain(s) {
		s = cs.toUTF8([]byte(unfold(s)), headerCharset(s))
	}
	r := addressReader{s: s, cs: cs}
	for r.pos < len(r.s) {
		if r.step() {
			continue
		}
		if a, ok := r.take(); ok && len(list) < max {
			list = append(list, a)
		} else if ok {
			dropped++
		}
	}
	if a, ok := r.take(); ok && len(list) < max {
		list = append(list, a)
	} else if ok {
		dropped++
	}
	return list, dropped
}

// step consumes one element. It returns false at the end of an entry.
func (r *addressReader) step() bool {
	s, c := r.s, r.s[r.pos]
	switch {
	case c == ',' || c == ';':
		r.pos++
		return false
	case c == '"' && !r.noQuote:
		return r.quoted()
	case c == '(' && !r.noComment:
		return r.parenthesis()
	case c == '<':
		r.brackets()
		return true
	case c == '>' && r.angled: // one bracket too many
		r.pos++
		return true
	case c == ':' && !r.angled && r.bare.Len() > 0 && !strings.Contains(r.bare.String(), "@"):
		r.pos++ // it was the name of a group
		r.name.Reset()
		r.bare.Reset()
		return true
	case c == '=' && r.pos+1 < len(s) && s[r.pos+1] == '?':
		if w, ok := wordAt(s, r.pos, &r.wordEnd); ok && w.end-r.pos <= 4*maxName && !strings.ContainsAny(w.text, "<>") {
			r.both(s[r.pos:w.end])
			r.pos = w.end
			return true
		}
	case c <= ' ' || c == 0x7f:
		r.space(&r.name)
		r.space(&r.bare)
		r.pos++
		return true
	case c == '[' && strings.HasSuffix(r.bare.String(), "@"):
		if end := strings.IndexAny(s[r.pos+1:min(len(s), r.pos+100)], "],<"); end >= 0 && s[r.pos+1+end] == ']' {
			r.both(s[r.pos : r.pos+end+2])
			r.pos += end + 2
			return true
		}
	}
	r.both(s[r.pos : r.pos+1])
	r.pos++
	return true
}

func (r *addressReader) both(text string) {
	if r.name.Len() < 4*maxName {
		r.name.WriteString(text)
	}
	if r.bare.Len() < 4*maxName {
		r.bare.WriteString(text)
	}
}

func (r *addressReader) space(b *strings.Builder) {
	if s := b.String(); s != "" && s[len(s)-1] != ' ' {
		b.WriteByte(' ')
	}
}

// closing finds the byte that closes what opens at r.pos. It honours
// backslashes. opener nests; 0: nothing does.
func (r *addressReader) closing(opener, closer byte) int {
	depth := 0
	for i := r.pos + 1; i < len(r.s); i++ {
		switch c := r.s[i]; {
		case c == '\\':
			i++
		case c == closer && depth == 0:
			return i
		case c == closer:
			depth--
		case c == opener && opener != 0:
			depth++
		}
	}
	return -1
}

func (r *addressReader) quoted() bool {
	end := r.closing(0, '"')
	if end < 0 {
		r.noQuote = true
		r.pos++
		return true
	}
	if text := r.s[r.pos+1 : end]; r.name.Len()+len(text) < 4*maxName {
		r.name.WriteString(unescape(text))
		r.bare.WriteString(r.s[r.pos : end+1])
	}
	r.pos = end + 1
	return true
}

func (r *addressReader) parenthesis() bool {
	end := r.closing('(', ')')
	if end < 0 {
		r.noComment = true
		return true
	}
	if r.comment == "" {
		r.comment = unescape(r.s[r.pos+1 : end])
	}
	r.pos = end + 1
	r.space(&r.name)
	r.space(&r.bare)
	return true
}

// brackets reads <address>. One that is never closed ends where the next entry
// starts.
func (r *addressReader) brackets() {
	i, inQuote := r.pos+1, false
	route := i < len(r.s) && r.s[i] == '@'
scan:
	for ; i < len(r.s); i++ {
		switch c := r.s[i]; {
		case c == '\\' && inQuote:
			i++
		case c == '"':
			inQuote = !inQuote
		case inQuote && i-r.pos > 2*maxName:
			break scan
		case inQuote:
		case c == '>' || c == '<' || c == ';' || (c == ',' && !route):
			break scan
		}
	}
	i = min(i, len(r.s))
	text := r.s[r.pos+1 : i]
	if i < len(r.s) && r.s[i] == '>' {
		i++
	}
	r.pos = i
	if route {
		if _, after, ok := strings.Cut(text, ":"); ok {
			text = after
		}
	}
	if !r.angled || strings.TrimSpace(r.angle) == "" {
		r.angle, r.angled = text, true
	}
}

// take makes an address of what was read and starts the next entry.
func (r *addressReader) take() (Address, bool) {
	name, bare := strings.TrimSpace(r.name.String()), strings.TrimSpace(r.bare.String())
	var a Address
	if r.angled {
		a = Address{Name: name, Email: compact(r.angle)}
	} else {
		a = looseAddress(bare, name)
	}
	if a.Name == "" {
		a.Name = r.comment
	}
	a.Name = unquote(r.cs.header(a.Name))
	if strings.EqualFold(a.Name, a.Email) {
		a.Name = ""
	}
	a.Name, a.Email = strings.Clone(clipBytes(a.Name)), strings.Clone(clipBytes(a.Email))
	r.name.Reset()
	r.bare.Reset()
	r.comment, r.angle, r.angled = "", "", false
	return a, a.Name != "" || a.Email != ""
}

// looseAddress reads an entry without brackets: an address, a name, or both.
func looseAddress(bare, name string) Address {
	at := strings.LastIndexByte(bare, '@')
	switch {
	case at < 0 && strings.ContainsAny(bare, " \""), strings.HasPrefix(bare, "=?"):
		return Address{Name: name}
	case at < 0:
		return Address{Email: bare}
	case strings.HasPrefix(bare, `"`) || !strings.Contains(bare, " "):
		return Address{Email: compact(bare)}
	}
	local, domain := strings.TrimRight(bare[:at], " "), strings.TrimLeft(bare[at+1:], " ")
	start := strings.LastIndexByte(local, ' ') + 1
	end := strings.IndexByte(domain, ' ')
	if end < 0 {
		end = len(domain)
	}
	rest := strings.TrimSpace(local[:start] + domain[end:])
	return Address{Name: rest, Email: compact(local[start:] + "@" + domain[:end])}
}

// unquote removes quotes around a whole name. Some programs add more with each
// reply.
func unquote(s string) string {
	for n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '\'' || s[0] == '"'); n = len(s) {
		s = strings.TrimSpace(s[1 : n-1])
	}
	return s
}

// compact removes white space and control characters from an address. A quoted
// local part keeps its spaces.
func compact(s string) string {
	quoted := strings.IndexByte(s, '"') >= 0
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] > ' ' && s[i] != 0x7f
	}
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r == ' ' && !quoted) {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
}

// unescape removes the backslashes of a quoted string or comment.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// clipBytes cuts a string to maxName bytes, between characters.
func clipBytes(s string) string {
	if len(s) <= maxName {
		return s
	}
	return strings.ToValidUTF8(s[:maxName], "")
}
