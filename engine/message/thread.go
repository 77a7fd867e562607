package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxID is the longest message id that is used, the length of a line (RFC 5322
// §2.1.1).
const maxID = 998

// messageIDs reads the ids of a Message-ID, In-Reply-To or References body,
// without <>. Text around them is skipped. Without any <>, words that contain
// an "@" count. If there are more than max, the first and the last ones are
// kept: the root and the parents bind a thread.
func messageIDs(s string, max int) []string {
	var ids []string
	add := func(id string) {
		if id = cleanID(id); id != "" {
			ids = append(ids, id)
		}
	}
	for rest := s; ; {
		open := strings.IndexByte(rest, '<')
		if open < 0 {
			break
		}
		rest = rest[open+1:]
		end := strings.IndexAny(rest, "<>")
		if end < 0 {
			break
		}
		if rest[end] == '<' {
			rest = rest[end:]
			continue
		}
		add(rest[:end])
		rest = rest[end+1:]
	}
	if len(ids) == 0 {
		for _, w := range strings.FieldsFunc(s, func(r rune) bool {
			return r <= ' ' || r == ',' || r == ';' || r == '<' || r == '>'
		}) {
			if strings.Contains(w, "@") {
				add(w)
			}
		}
	}
	ids = dedupe(ids)
	if len(ids) > max {
		kept := append(make([]string, 0, max), ids[0])
		ids = append(kept, ids[len(ids)-max+1:]...)
	}
	return ids
}

// cleanID removes white space and control characters, which folding leaves in
// an id. It returns "" if nothing usable is left.
func cleanID(id string) string {
	if len(id) > 4*maxID {
		return ""
	}
	id = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, id), "\ufffd")
	if len(id) > maxID {
		return ""
	}
	return strings.Clone(id)
}

// maxBase bounds the work on a subject. Subjects that agree in so many bytes
// count as equal.
const maxBase = 1000

// baseSubject is RFC 5256 §2.1 on a decoded subject, in lower case. In
// addition, the reply words of other languages count as "Re:". Without them
// each answer of a German or Swedish correspondent would start a new thread.
func baseSubject(s string) string {
	if len(s) > maxBase {
		s = strings.ToValidUTF8(s[:maxBase], "")
	}
	s = strings.Join(strings.Fields(strings.ToLower(s)), " ")
	for {
		for {
			t := strings.TrimSpace(strings.TrimSuffix(s, "(fwd)"))
			if t == s {
				break
			}
			s = t
		}
		for {
			t := stripLeader(s)
			if rest, ok := stripBlob(t); ok && rest != "" {
				t = rest
			}
			if t == s {
				break
			}
			s = t
		}
		inner, ok := strings.CutPrefix(s, "[fwd:")
		if !ok || !strings.HasSuffix(inner, "]") {
			return s
		}
		s = strings.TrimSpace(strings.TrimSuffix(inner, "]"))
	}
}

// stripLeader removes one "[blob] [blob] re [blob]:", or nothing.
func stripLeader(s string) string {
	t := s
	for {
		rest, ok := stripBlob(t)
		if !ok {
			break
		}
		t = rest
	}
	n := 0
	for n < len(t) {
		r, size := utf8.DecodeRuneInString(t[n:])
		if !unicode.IsLetter(r) {
			break
		}
		n += size
	}
	if !replyWord(t[:n]) {
		return s
	}
	t = strings.TrimLeft(t[n:], " ")
	if rest, ok := stripBlob(t); ok {
		t = rest
	}
	for _, colon := range []string{":", "："} {
		if rest, ok := strings.CutPrefix(t, colon); ok {
			return strings.TrimLeft(rest, " ")
		}
	}
	return s
}

// stripBlob removes one "[…]".
func stripBlob(s string) (string, bool) {
	if s == "" || s[0] != '[' {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]")
	if end < 0 || s[1+end] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[end+2:], " "), true
}

func replyWord(s string) bool {
	switch s {
	case "re", "fw", "fwd", // RFC 5256
		"aw", "antw", "wg", "sv", "vs", "vb", "vl", "tr", "rv", "rif", "res", "enc", "odp", "pd", "ynt", "ilt", "atb",
		"doorst", "回复", "回覆", "答复", "转发", "轉寄", "返信", "転送", "답장", "전달":
		return true
	}
	return false
}
