package message

import (
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// charsetKind says which bytes can be text of a charset.
type charsetKind uint8

const (
	unlabelled charsetKind = iota // no label, ASCII, or one without a meaning
	utf8Label
	singleByte
	multiByte // ASCII and sequences that begin with an 8-bit byte
	utf16Label
	utf32Label
	iso2022jp // this and those below have 7-bit bytes only
	iso2022kr
	iso2022cn
	hz
	utf7
)

// charset is what a label means. enc is nil for what is decoded here.
type charset struct {
	kind      charsetKind
	enc       encoding.Encoding
	bigEndian bool
}

// charsetOf returns the meaning of a label. It goes by the letters and digits
// alone, since senders write "latin-1", "x-win1251" and "CP 850". The names of
// the WHATWG and of IANA follow.
func charsetOf(label string) charset {
	switch label {
	case "":
		return charset{}
	case "utf-8", "UTF-8":
		return charset{kind: utf8Label}
	}
	name := strings.ToLower(label)
	if _, after, ok := strings.Cut(name, "charset="); ok {
		name = after
	}
	name = strings.Trim(name, " \t\r\n\"'`<>")
	if i := strings.IndexAny(name, ";,(*"); i >= 0 {
		name = strings.TrimRight(name[:i], " \t\"'")
	}
	if len(name) == 0 || len(name) > 64 {
		return charset{}
	}
	key := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, name)
	for _, prefix := range []string{"", "x", "cs", "xcs"} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			if c, ok := named(rest); ok {
				return c
			}
		}
	}
	for _, n := range []string{name, strings.ReplaceAll(name, "_", "-")} {
		if enc, err := htmlindex.Get(n); err == nil && enc != encoding.Replacement {
			return of(enc)
		}
		if enc, err := ianaindex.IANA.Encoding(n); err == nil && enc != nil && enc != encoding.Replacement {
			return of(enc)
		}
	}
	return charset{}
}

func of(enc encoding.Encoding) charset {
	if _, ok := enc.(*charmap.Charmap); ok {
		return charset{kind: singleByte, enc: enc}
	}
	return charset{kind: multiByte, enc: enc}
}

// named finds a charset by the letters and digits of its name.
func named(key string) (charset, bool) {
	switch key {
	case "utf8", "utf", "uft8", "ut8", "utf8n", "utf8mb3", "utf8mb4", "utf8sig", "utf8bom", "utf8j", "unicode11utf8",
		"unicode20utf8", "u8":
		return charset{kind: utf8Label}, true
	case "ascii", "usascii", "us", "iso646us", "646", "ansi", "ansix341968", "ansix341986", "isoir6", "unknown8bit",
		"unknown", "default", "none", "null", "binary", "7bit", "8bit", "userdefined", "nosuch":
		return charset{}, true
	case "utf16", "utf16le", "ucs2", "ucs2le", "iso10646ucs2", "iso10646", "unicode", "unicodefffe", "unicodelittle":
		return charset{kind: utf16Label}, true
	case "utf16be", "ucs2be", "unicodebig", "unicodefeff":
		return charset{kind: utf16Label, bigEndian: true}, true
	case "utf32", "utf32le", "ucs4", "ucs4le", "iso10646ucs4":
		return charset{kind: utf32Label}, true
	case "utf32be", "ucs4be":
		return charset{kind: utf32Label, bigEndian: true}, true
	case "utf7", "unicode11utf7", "unicode20utf7", "utf7imap":
		return charset{kind: utf7}, true
	case "iso2022jp", "iso2022jp1", "iso2022jp2", "iso2022jp3", "iso2022jp2004", "iso2022jpms", "iso2022jpext",
		"jis", "jis7", "junet", "iso2022", "jisencoding":
		return charset{kind: iso2022jp}, true
	case "iso2022kr":
		return charset{kind: iso2022kr}, true
	case "iso2022cn", "iso2022cnext":
		return charset{kind: iso2022cn}, true
	case "hz", "hzgb2312", "hzgb":
		return charset{kind: hz}, true
	case "shiftjis", "sjis", "mskanji", "shiftjisx0213", "shiftjis2004", "windows31j":
		return charset{kind: multiByte, enc: japanese.ShiftJIS}, true
	case "eucjp", "ujis", "euc", "eucjpms", "eucjpwin", "eucpkdfmtjapanese", "eucjis2004", "eucjisx0213":
		return charset{kind: multiByte, enc: japanese.EUCJP}, true
	case "gb2312", "gb231280", "gbk", "gb", "euccn", "cngb", "cngb2312", "chinese", "gb18030", "gb180302000",
		"gb180302022", "eucgb2312cn", "isoir58", "zhcn", "iso58gb231280":
		return charset{kind: multiByte, enc: simplifiedchinese.GB18030}, true // the superset of the others
	case "big5", "big5hkscs", "big5hkscs2004", "big5eten", "big5et", "cnbig5", "big5tw", "zhtw":
		return charset{kind: multiByte, enc: traditionalchinese.Big5}, true
	case "euckr", "ksc5601", "ksc56011987", "ksc56011989", "ksx1001", "ksc5861", "uhc", "korean", "isoir149",
		"5601":
		return charset{kind: multiByte, enc: korean.EUCKR}, true
	case "koi8", "koi8r", "koi":
		return charset{kind: singleByte, enc: charmap.KOI8R}, true
	case "koi8u", "koi8ru":
		return charset{kind: singleByte, enc: charmap.KOI8U}, true
	case "tis620", "tis6202533", "isoir166", "thai":
		return charset{kind: singleByte, enc: charmap.Windows874}, true
	case "mac", "macroman", "macintosh", "applemacintosh", "maclatin1", "macosroman":
		return charset{kind: singleByte, enc: charmap.Macintosh}, true
	case "maccyrillic", "macukrainian", "macukraine":
		return charset{kind: singleByte, enc: charmap.MacintoshCyrillic}, true
	case "iso8859", "latin", "iso", "western", "iso8859ascii":
		return charset{kind: singleByte, enc: charmap.Windows1252}, true
	case "cyrillic":
		return charset{kind: singleByte, enc: charmap.ISO8859_5}, true
	}
	if enc := numbered(key); enc != nil {
		return of(enc), true
	}
	return codePage(key)
}

// numbered finds a member of ISO 8859 by any of its names. Those that browsers
// read as the Windows charset around them are that.
func numbered(key string) encoding.Encoding {
	part := 0
	if _, after, ok := strings.Cut(key, "8859"); ok {
		digits := strings.TrimRight(after, "abcdefghijklmnopqrstuvwxyz")
		if len(digits) > 2 { // a year, as in ISO_8859-1:1987
			digits = strings.TrimSuffix(digits[:len(digits)-2], "19")
			digits = strings.TrimSuffix(digits, "20")
		}
		part, _ = strconv.Atoi(digits)
	} else {
		n, ok := strings.CutPrefix(key, "latin")
		if !ok {
			if n, ok = strings.CutPrefix(key, "l"); !ok {
				return nil
			}
		}
		i, err := strconv.Atoi(n)
		if parts := []int{1, 2, 3, 4, 9, 10, 13, 14, 15, 16}; err == nil && 1 <= i && i <= len(parts) {
			part = parts[i-1]
		}
	}
	switch part {
	case 1:
		return charmap.Windows1252
	case 9:
		return charmap.Windows1254
	case 11:
		return charmap.Windows874
	case 2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16:
		enc, err := ianaindex.IANA.Encoding("iso-8859-" + strconv.Itoa(part))
		if err != nil {
			return nil
		}
		return enc
	}
	return nil
}

// codePage finds a code page by its number, whatever stands before it.
func codePage(key string) (charset, bool) {
	digits := strings.TrimLeft(key, "abcdefghijklmnopqrstuvwxyz")
	switch key[:len(key)-len(digits)] {
	case "", "win", "windows", "cp", "ms", "ibm", "dos", "oem", "codepage", "ansi", "wincp", "mswin", "pc", "ccsid":
	default:
		return charset{}, false
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return charset{}, false
	}
	switch n {
	case 65001:
		return charset{kind: utf8Label}, true
	case 367, 20127:
		return charset{}, true
	case 1200, 13488:
		return charset{kind: utf16Label}, true
	case 1201:
		return charset{kind: utf16Label, bigEndian: true}, true
	case 12000:
		return charset{kind: utf32Label}, true
	case 12001:
		return charset{kind: utf32Label, bigEndian: true}, true
	case 65000:
		return charset{kind: utf7}, true
	case 50220, 50221, 50222, 5052, 5053, 5054:
		return charset{kind: iso2022jp}, true
	case 50225:
		return charset{kind: iso2022kr}, true
	case 50227:
		return charset{kind: iso2022cn}, true
	case 52936:
		return charset{kind: hz}, true
	case 932, 942, 943, 31:
		return charset{kind: multiByte, enc: japanese.ShiftJIS}, true
	case 954, 20932, 51932, 33722:
		return charset{kind: multiByte, enc: japanese.EUCJP}, true
	case 936, 1383, 1386, 20936, 51936, 54936:
		return charset{kind: multiByte, enc: simplifiedchinese.GB18030}, true
	case 949, 970, 1363, 51949:
		return charset{kind: multiByte, enc: korean.EUCKR}, true
	case 950, 1370, 1375:
		return charset{kind: multiByte, enc: traditionalchinese.Big5}, true
	}
	if enc := singleBytePage(n); enc != nil {
		return charset{kind: singleByte, enc: enc}, true
	}
	return charset{}, false
}

func singleBytePage(n int) encoding.Encoding {
	switch n {
	case 437:
		return charmap.CodePage437
	case 850:
		return charmap.CodePage850
	case 852:
		return charmap.CodePage852
	case 855:
		return charmap.CodePage855
	case 858:
		return charmap.CodePage858
	case 860:
		return charmap.CodePage860
	case 862:
		return charmap.CodePage862
	case 863:
		return charmap.CodePage863
	case 865:
		return charmap.CodePage865
	case 866:
		return charmap.CodePage866
	case 37:
		return charmap.CodePage037
	case 1047:
		return charmap.CodePage1047
	case 1140:
		return charmap.CodePage1140
	case 874:
		return charmap.Windows874
	case 1250:
		return charmap.Windows1250
	case 1251:
		return charmap.Windows1251
	case 819, 1252, 28591:
		return charmap.Windows1252
	case 1253:
		return charmap.Windows1253
	case 920, 1254, 28599:
		return charmap.Windows1254
	case 1255:
		return charmap.Windows1255
	case 1256:
		return charmap.Windows1256
	case 1257:
		return charmap.Windows1257
	case 1258:
		return charmap.Windows1258
	case 878, 20866:
		return charmap.KOI8R
	case 1168, 21866:
		return charmap.KOI8U
	case 10000:
		return charmap.Macintosh
	case 10007:
		return charmap.MacintoshCyrillic
	case 912, 28592:
		return charmap.ISO8859_2
	case 28593:
		return charmap.ISO8859_3
	case 28594:
		return charmap.ISO8859_4
	case 915, 28595:
		return charmap.ISO8859_5
	case 28596:
		return charmap.ISO8859_6
	case 813, 28597:
		return charmap.ISO8859_7
	case 916, 28598, 38598:
		return charmap.ISO8859_8
	case 28603:
		return charmap.ISO8859_13
	case 923, 28605:
		return charmap.ISO8859_15
	}
	return nil
}
