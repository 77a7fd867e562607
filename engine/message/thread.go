package message

import (
	"strings"
	"unicode"
)

// maxID is the longest message id that is used, the length of a line (RFC 5322
// §2.1.1).
const maxID = 998

// messageIDs reads the ids of a Message-ID, In-Reply-To or References body,
// without <>. Text and comments around them are skipped. Without any <>, words
// that contain an "@" count, and without these all words if each has a digit.
// If there are more than max, the first and the last ones are kept: the root
// and the parents bind a thread.
//
// RFC 2047 §5 forbids encoded words here. Clients and gateways that fold or
// re-code headers write them all the same.
func messageIDs(cs *charsets, s string, max int) []string {
	if strings.Contains(s, "=?") {
		s = cs.header(literalUnderscores(unfold(s)))
	}
	if strings.Contains(s, "&lt;") {
		s = strings.NewReplacer("&lt;", "<", "&gt;", ">").Replace(s)
	}
	clean := dropComments(s)
	ids := idsOf(clean)
	if len(ids) == 0 && clean != s {
		ids = idsOf(s)
	}
	ids = dedupe(ids)
	if len(ids) > max {
		kept := append(make([]string, 0, max), ids[0])
		ids = append(kept, ids[len(ids)-max+1:]...)
	}
	return ids
}

// idsOf reads the ids of a text without encoded words.
func idsOf(s string) []string {
	if ids := bracketed(s); len(ids) > 0 {
		return ids
	}
	return bare(s)
}

// bracketed reads the ids in <>. The last may lack its ">".
func bracketed(s string) (ids []string) {
	for {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			return ids
		}
		s = s[open+1:]
		end := strings.IndexAny(s, "<>")
		switch {
		case end < 0:
			if id := cleanID(s); strings.Contains(id, "@") {
				ids = append(ids, id)
			}
			return ids
		case s[end] == '<':
			s = s[end:]
			continue
		}
		if id := cleanID(s[:end]); id != "" {
			ids = append(ids, id)
		}
		s = s[end+1:]
	}
}

// bare reads ids without <>.
func bare(s string) (ids []string) {
	var words []string
	var word []byte // the one at hand: an "@" joins what stands beside it
	for w := range strings.FieldsFuncSeq(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(",;<>\"", r)
	}) {
		if n := len(word); n > 0 && (n > maxID || w[0] != '@' && word[n-1] != '@') {
			words, word = append(words, string(word)), word[:0]
		}
		word = append(word, w...)
	}
	if len(word) > 0 {
		words = append(words, string(word))
	}
	addresses := strings.Contains(s, "@")
	for _, w := range words {
		switch {
		case addresses && !strings.Contains(w, "@"):
			continue
		case !addresses && !strings.ContainsAny(w, "0123456789"):
			return nil // words of a sentence
		}
		if id := cleanID(w); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// dropComments replaces comments (RFC 5322 §3.2.2) by blanks. Parentheses
// within an id are a part of it, unless they stand at its end or apart from it.
func dropComments(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	ends := map[int]int{} // of each parenthesis that closes
	var open []int
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			open = append(open, i)
		case ')':
			if n := len(open) - 1; n >= 0 {
				ends[open[n]], open = i+1, open[:n]
			}
		}
	}
	var out strings.Builder
	out.Grow(len(s))
	inside := false
	for i := 0; i < len(s); i++ {
		switch end := ends[i]; {
		case s[i] == '<' || s[i] == '>':
			inside = s[i] == '<'
		case end > 0 && (!inside || apart(s[i-1]) || end < len(s) && apart(s[end])):
			out.WriteByte(' ')
			i = end - 1
			continue
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// apart reports whether c cannot be within an id.
func apart(c byte) bool { return c <= ' ' || c == '<' || c == '>' }

// literalUnderscores keeps the underscores of Q encoded words. There they stand
// for blanks (RFC 2047 §4.2), which no id has. Encoders that write ids in such
// words leave an id's underscores as they are.
func literalUnderscores(s string) string {
	var out strings.Builder
	pos, close := 0, 0
	for {
		at := strings.Index(s[pos:], "=?")
		if at < 0 {
			break
		}
		at += pos
		w, ok := wordAt(s, at, &close)
		if !ok {
			out.WriteString(s[pos : at+2])
			pos = at + 2
			continue
		}
		text := w.end - len("?=") - len(w.text)
		out.WriteString(s[pos:text])
		if w.kind == 'Q' {
			out.WriteString(strings.ReplaceAll(w.text, "_", "=5F"))
		} else {
			out.WriteString(w.text)
		}
		out.WriteString("?=")
		pos = w.end
	}
	out.WriteString(s[pos:])
	return out.String()
}

// cleanID removes white space, control characters and invisible ones, which
// folding leaves in an id. It returns "" if nothing usable is left.
func cleanID(id string) string {
	if len(id) > 4*maxID {
		return ""
	}
	id = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, id), "\ufffd")
	if len(id) > maxID {
		return ""
	}
	return strings.Clone(id)
}
