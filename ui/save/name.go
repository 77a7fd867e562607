package save

import (
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailcote/engine/filename"
)

const (
	longestName = 200 // bytes; file systems take 255, and a number may be added
	longestExt  = 20
)

// Name makes a safe file name of what a sender calls a part. number is the
// part's, mediaType its type in lower case; they name a part that has no name.
func Name(sender, mediaType, number string) string {
	name := cleaned(sender)
	if name == "" {
		name = cleaned("part " + number + extension(mediaType))
	}
	if filename.Device(name) {
		name = "_" + name
	}
	return clip(name)
}

// cleaned keeps the last element of a path of Unix or Windows, and of that what
// both can show. "" means that nothing is left.
func cleaned(name string) string {
	name = strings.ToValidUTF8(name, "_")
	if at := strings.LastIndexAny(strings.TrimRight(name, `/\`), `/\`); at >= 0 {
		name = name[at+1:]
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("<>:\"/\\|?*", r), strings.ContainsRune("／＼：∕⁄⧸＊？＂＜＞｜", r), r == utf8.RuneError:
			return '_' // reserved by Windows, or turned into such by its code pages
		case r == '\u200c' || r == '\u200d': // scripts and emoji need joiners
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp,
			unicode.Other_Default_Ignorable_Code_Point):
			return -1
		}
		return r
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	// no hidden file; Windows drops dots at the end
	name = strings.TrimRight(strings.TrimLeft(name, ". \u200c\u200d"), ". ")
	if strings.Trim(name, "_-. ") == "" {
		return ""
	}
	if name[0] == '-' || name[0] == '~' {
		name = "_" + name[1:] // no option of a command, no home directory
	}
	return name
}

// clip shortens a name and keeps its extension.
func clip(name string) string {
	if len(name) <= longestName {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > longestExt {
		ext = ""
	}
	stem := strings.ToValidUTF8(name[:longestName-len(ext)], "")
	return strings.TrimRight(stem, ". ") + ext
}

// numbered is the n-th name that is like a name.
func numbered(name string, n int) string {
	if n < 2 {
		return name
	}
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + " (" + strconv.Itoa(n) + ")" + ext
}

// extension is what a part without a name gets.
func extension(mediaType string) string {
	return map[string]string{
		"application/pdf": ".pdf", "application/zip": ".zip", "image/gif": ".gif", "image/jpeg": ".jpg",
		"image/png": ".png", "message/global": ".eml", "message/rfc822": ".eml", "text/calendar": ".ics",
		"text/csv": ".csv", "text/html": ".html", "text/plain": ".txt", "text/vcard": ".vcf",
	}[mediaType]
}
