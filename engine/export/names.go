package export

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"mailcote/engine/filename"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	nameMost    = 120 // bytes of a name before its suffix; file systems take 255
	maildirMost = 180 // bytes of a Maildir++ directory's name before its suffix
)

// named is something that needs a name in a directory.
type named struct {
	raw       string // its identity: equal names are told apart by it
	path      string // as people read it
	delimiter string // between the levels of path; "": it has one
}

// fileNames gives each of all a name of one component that every file system
// takes. Names that differ are given in letters of either case and in every
// normal form.
func fileNames(all []named) []string {
	return distinct(all, func(n named) (string, bool) {
		path := n.path
		if n.delimiter != "" {
			path = strings.ReplaceAll(path, n.delimiter, ".")
		}
		return safe(path, nameMost)
	})
}

// maildirNames gives each of all the name of its directory in a Maildir++; ""
// is the root, INBOX.
func maildirNames(all []named) []string {
	names := distinct(all, func(n named) (string, bool) {
		if strings.EqualFold(n.path, "INBOX") {
			return "INBOX", false
		}
		levels := []string{n.path}
		if n.delimiter != "" {
			levels = strings.Split(n.path, n.delimiter)
		}
		changed := false
		for i, level := range levels {
			// A dot would begin a level, and LIST takes % for a pattern.
			one, other := safe(strings.NewReplacer(".", "_", "%", "_").Replace(level), len(level)+1)
			changed = changed || other || strings.ContainsAny(level, ".%")
			levels[i] = encodeLevel(one)
		}
		name := strings.Join(levels, ".")
		if len(name) > maildirMost { // cutting what is encoded would break it
			return "long", true
		}
		return name, changed
	})
	for i, name := range names {
		if name == "INBOX" {
			names[i] = ""
		} else {
			names[i] = "." + name
		}
	}
	return names
}

// distinct makes a name of each of all. One that is not what people read, or
// that is taken, bears a digest of what it stands for.
func distinct(all []named, make func(named) (name string, changed bool)) []string {
	names, taken := []string{}, map[string]bool{}
	fold := cases.Fold()
	for _, n := range all {
		name, changed := make(n)
		key := func(s string) string { return norm.NFKC.String(fold.String(norm.NFKC.String(s))) }
		if changed || taken[key(name)] {
			sum := sha256.Sum256([]byte(n.raw))
			name += "~" + hex.EncodeToString(sum[:6])
		}
		one := name
		for i := 2; taken[key(one)]; i++ {
			one = fmt.Sprintf("%s-%d", name, i)
		}
		taken[key(one)] = true
		names = append(names, one)
	}
	return names
}

// safe makes text a name of at most most bytes that is no path, no hidden file,
// no option and no device, and that shows what it is. changed reports whether
// it says something else than text.
func safe(text string, most int) (name string, changed bool) {
	text = norm.NFC.String(text)
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		if r == utf8.RuneError || strings.ContainsRune(`/\:*?"<>|`, r) || !unicode.IsPrint(r) ||
			unicode.Is(unicode.M, r) &&
				b.Len() == 0 {
			r = '_'
		}
		if b.Len()+utf8.RuneLen(r) > most {
			break
		}
		b.WriteRune(r)
	}
	name = b.String()
	if trimmed := strings.TrimRight(name, ". "); trimmed != name { // Windows drops them
		name = trimmed + "_"
	}
	if name == "" || strings.ContainsRune(".-~ ", rune(name[0])) || filename.Device(name) {
		name = "_" + name
	}
	return name, name != text
}

// encodeLevel writes text in modified UTF-7 (RFC 3501 §5.1.3).
func encodeLevel(text string) string {
	var out strings.Builder
	var shifted []uint16
	end := func() {
		if len(shifted) == 0 {
			return
		}
		var octets []byte
		for _, unit := range shifted {
			octets = append(octets, byte(unit>>8), byte(unit))
		}
		code := base64.RawStdEncoding.EncodeToString(octets)
		out.WriteString("&" + strings.ReplaceAll(code, "/", ",") + "-")
		shifted = nil
	}
	for _, r := range text {
		switch {
		case r < ' ' || r > '~':
			shifted = utf16.AppendRune(shifted, r)
			continue
		case r == '&':
			end()
			out.WriteString("&-")
			continue
		}
		end()
		out.WriteRune(r)
	}
	end()
	return out.String()
}
