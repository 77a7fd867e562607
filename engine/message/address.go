package message

import (
	"strings"
	"unicode"
)

// maxAddresses bounds ParseAddressList. Parse uses Limits.Addresses.
const maxAddresses = 10_000

// ParseAddressList parses the body of an address field (RFC 5322 §3.4). It
// accepts what programs make of it: semicolons between addresses, names with
// commas in encoded words, missing brackets, raw 8-bit names. Groups are
// flattened. An entry without anything usable is left out, and no entry makes
// the others unreadable.
func ParseAddressList(s string) []Address {
	list, _ := addressList(newCharsets(), s, maxAddresses)
	return list
}

// maxName bounds a display name and an address, in bytes.
const maxName = 998

// maxBrackets bounds how many brackets and blanks are passed over before an
// address that comes twice.
const maxBrackets = 64

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
	after   int // length of name at the end of <>

	// A quote, comment or word that is never closed is text. Remembering that
	// no more of a kind close keeps a flood of openers linear.
	noQuote, noComment bool
	wordEnd            int

	list         []Address
	max, dropped int
}

func addressList(cs *charsets, s string, max int) (list []Address, dropped int) {
	if !plain(s) {
		s = cs.unlabelled(s)
	}
	r := addressReader{s: s, cs: cs, max: max}
	for r.pos < len(r.s) {
		if !r.step() {
			r.take()
		}
	}
	r.take()
	return r.list, r.dropped
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
		next := s[r.pos+1 : min(len(s), r.pos+1+maxBrackets+len(r.angle))]
		if strings.Contains(r.angle, "@") && !strings.HasPrefix(strings.TrimLeft(next, " <"), r.angle) {
			r.split()
		}
		r.brackets()
		return true
	case c == '>' && r.angled: // one bracket too many
		r.pos++
		return true
	case c == ':' && !r.angled && r.bare.Len() > 0 && !strings.Contains(r.bare.String(), "@") &&
		!strings.HasSuffix(r.bare.String(), "[mailto"):
		r.pos++ // it was the name of a group
		r.name.Reset()
		r.bare.Reset()
		r.comment = ""
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
	if strings.HasSuffix(text, ":") && !strings.Contains(text, "@") { // a group that somebody put into brackets
		text = ""
		members := r.s[r.pos:min(len(r.s), r.pos+maxName)]
		if end := strings.IndexAny(members, "<>,"); end >= 0 && members[end] == '>' {
			r.pos += end + 1
		}
	}
	if !r.angled || strings.TrimSpace(r.angle) == "" {
		r.angle, r.angled, r.after = text, true, r.name.Len()
	}
}

// split ends an entry before another address in brackets. The words between the
// two are the name of the second one.
func (r *addressReader) split() {
	name := r.name.String()
	first, second := name[:r.after], name[r.after:]
	r.name.Reset()
	r.name.WriteString(first)
	r.take()
	r.name.WriteString(strings.TrimLeft(second, " "))
}

// take lists the address that was read and starts the next entry.
func (r *addressReader) take() {
	name, bare := strings.TrimSpace(r.name.String()), strings.TrimSpace(r.bare.String())
	switch {
	case r.angled:
		if strings.Contains(r.angle, "=?") {
			r.angle = r.cs.header(r.angle)
		}
		r.add(Address{Name: name, Email: address(r.angle)})
	case bare != "":
		for _, a := range looseAddresses(bare, name) {
			r.add(a)
		}
	}
	r.name.Reset()
	r.bare.Reset()
	r.comment, r.angle, r.angled, r.after = "", "", false, 0
}

func (r *addressReader) add(a Address) {
	if a.Name == "" && a.Email != "" {
		a.Name = r.comment
	}
	a.Name = unquote(r.cs.header(a.Name))
	if strings.EqualFold(a.Name, a.Email) {
		a.Name = ""
	}
	a.Name, a.Email = strings.Clone(clipBytes(a.Name)), strings.Clone(clipBytes(a.Email))
	switch {
	case a == Address{}, !strings.Contains(a.Email, "@") && nobody(a.Name+a.Email):
	case len(r.list) < r.max:
		r.list = append(r.list, a)
	default:
		r.dropped++
	}
}

// nobody recognises what programs write where no recipient is told. Marks
// without a letter or digit are nobody, too.
func nobody(s string) bool {
	s = strings.ToLower(s)
	for _, prefix := range []string{"undisclosed", "unlisted-recipient", "unspecified-recipient",
		"recipient list not shown", "recipient list suppressed", "list suppressed"} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return !strings.ContainsFunc(s,
		func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r > 0x2000 })
}

// looseAddresses reads an entry without brackets: an address, a name, or both.
// Several addresses may have blanks between them in place of commas.
func looseAddresses(bare, name string) []Address {
	bare = closeUp(bare)
	at := strings.LastIndexByte(bare, '@')
	switch {
	case at < 0 && strings.ContainsAny(bare, " \""), strings.HasPrefix(bare, "=?") && !strings.Contains(bare, " "):
		return []Address{{Name: name}}
	case at < 0:
		return []Address{{Email: address(bare)}}
	case strings.HasPrefix(bare, `"`) || !strings.Contains(bare, " "):
		return []Address{{Email: address(bare)}}
	}
	var list []Address
	words := strings.Split(bare, " ")
	from := 0
	for i, w := range words {
		if at := strings.IndexByte(w, '@'); at > 0 && at < len(w)-1 && !strings.HasPrefix(w, "=?") {
			list = append(list, Address{Name: strings.Join(words[from:i], " "), Email: address(w)})
			from = i + 1
		}
	}
	rest := strings.Join(words[from:], " ")
	switch n := len(list); {
	case n == 0:
		return []Address{{Name: name}}
	case rest != "":
		list[n-1].Name = strings.TrimSpace(list[n-1].Name + " " + rest)
	}
	return list
}

// closeUp removes blanks around the "@" and the dots of an address, where RFC
// 5322 §4.4 allowed them. A dot that ends a word of a name keeps its blank.
func closeUp(s string) string {
	for _, sep := range []string{"@", "."} {
		if !strings.Contains(s, " "+sep) && (sep != "@" || !strings.Contains(s, "@ ")) {
			continue
		}
		s = strings.ReplaceAll(s, " "+sep+" ", sep)
		s = strings.ReplaceAll(s, " "+sep, sep)
		if sep == "@" {
			s = strings.ReplaceAll(s, "@ ", "@")
		}
	}
	return s
}

// address cleans an address. One in the syntax of a group, or with a word of
// RFC 2047 for its name of a host, is none.
func address(s string) string {
	if strings.IndexByte(s, '(') >= 0 {
		s = string(withoutComments([]byte(s)))
	}
	s = compact(s)
	if n := len(s) - 1; n > 0 && s[0] == '[' && s[n] == ']' {
		s = s[1:n]
	}
	if len(s) > 7 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	s = strings.Trim(s, "<>")
	if strings.Contains(s, ":;") || strings.Contains(s, `:"@`) {
		return ""
	}
	return s
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
