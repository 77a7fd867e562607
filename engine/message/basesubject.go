package message

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxBase bounds the work on a subject. Base subjects that agree in so many
// bytes count as equal.
const maxBase = 1000

// baseSubject is RFC 5256 §2.1 on a decoded subject, in lower case. Forms of a
// character that are compatible count as the same, and invisible characters do
// not count. In addition, the reply words of other languages count as "Re:".
// Without them each answer of a German or Swedish correspondent would start a
// new thread.
func baseSubject(s string) string {
	s = cut(s, 4*maxBase)
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s)
	s = norm.NFKC.String(strings.ToLower(norm.NFKC.String(s)))
	s = strings.ReplaceAll(s, "i\u0307", "i") // the lower case of İ, which Go makes a bare i
	s = strings.Join(strings.Fields(s), " ")
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
			return cut(s, maxBase)
		}
		s = strings.TrimSpace(strings.TrimSuffix(inner, "]"))
	}
}

// cut keeps at most n bytes of a text, and whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
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
	n := strings.IndexFunc(t, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != ' ' })
	if n < 0 || !replyWord(strings.TrimRight(t[:n], " ")) {
		return s
	}
	t = stripCount(strings.TrimLeft(strings.TrimPrefix(t[n:], "."), " "))
	if rest, ok := stripBlob(t); ok {
		t = rest
	}
	r, size := utf8.DecodeRuneInString(t)
	if !slices.Contains([]rune(":∶꞉։"), r) {
		return s
	}
	return strings.TrimLeft(t[size:], " ")
}

// stripCount removes how often it was answered: Re^2, Re*2, Re(2), RE 2. The
// form Re[2] is a blob of RFC 5256.
func stripCount(s string) string {
	t, end := s, ""
	if s != "" {
		switch s[0] {
		case '(':
			t, end = s[1:], ")"
		case '{':
			t, end = s[1:], "}"
		case '<':
			t, end = s[1:], ">"
		case '^', '*', '#', '-', '+', '/', '_', '~':
			t = s[1:]
		}
	}
	n := strings.IndexFunc(t, func(r rune) bool { return !unicode.IsDigit(r) })
	if n < 1 || utf8.RuneCountInString(t[:n]) > 4 {
		return s
	}
	rest, ok := strings.CutPrefix(t[n:], end)
	if !ok {
		return s
	}
	return strings.TrimLeft(rest, " ")
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

// replyWord reports whether clients put s before the subject of an answer or of
// a forwarded message. s is in lower case and composed (NFKC). The words are
// those of Outlook, Notes, Apple Mail, Thunderbird, mutt and the large web mail
// services in their languages.
func replyWord(s string) bool {
	switch s {
	case "re", "fw", "fwd": // RFC 5256
	case "aw", "antw", "antwort", "wg", "wtr", "weitergeleitet", "weiterleitung": // German
	case "betr", "betreft", "doorst", "doorgestuurd": // Dutch
	case "sv", "vs", "vb", "svar", "videresendt", "videresend", "fs": // Danish, Norwegian, Swedish, Icelandic
	case "vl", "vast", "ed", "edasi": // Finnish, Estonian
	case "tr", "ref", "réf", "rep", "rép", "réponse", "transf": // French
	case "r", "rif", "i", "inoltra", "inoltro": // Italian
	case "rv", "resp", "rta", "reenv", "reenviado": // Spanish
	case "res", "enc", "encam", "encaminhado": // Portuguese
	case "răsp", "răspuns", "redir", "redirecționat", "redirecţionat": // Romanian
	case "odp", "pd", "podaj dalej": // Polish, Czech, Slovak
	case "předáno", "přeposláno", "preposlané": // Czech, Slovak
	case "odg", "odgovor", "prosl", "proslijeđeno", "posr", "posredovano", "одг", "просл": // Croatian, Slovene, Serbian
	case "vá", "va", "válasz", "tov", "továbbítás", "továbbítva", "továbbított": // Hungarian
	case "ynt", "ilt", "ılt", "yanıt", "ilet": // Turkish
	case "atb", "pārs", "ats", "atsk", "persiųsta", "persiuntimas": // Latvian, Lithuanian, Welsh
	case "yml": // Welsh
	case "bls", "balas", "trs", "terusan": // Indonesian, Malay
	case "tl", "trả lời", "chuyển tiếp": // Vietnamese
	case "отв", "ответ", "на", "пересл", "переслано", "пересылка": // Russian
	case "відп", "відповідь", "від", "перес", "отг", "отговор", "препр", "препратено": // Ukrainian, Bulgarian
	case "απ", "απάντηση", "σχετ", "πρθ", "προώθ", "προώθηση": // Greek
	case "תגובה", "תשובה", "השב", "הועבר", "העברה": // Hebrew
	case "رد", "الرد", "إعادة توجيه", "اعادة توجيه", "تحويل", "موجه": // Arabic
	case "پاسخ", "باز ارسال", "ارجاع", "هدایت", "جواب", "تەر": // Persian, Urdu, Uyghur
	case "ตอบ", "ตอบกลับ", "ส่งต่อ": // Thai
	case "उत्तर", "जवाब", "अग्रेषित": // Hindi
	case "回复", "回覆", "回復", "答复", "答覆", "回信", "转发", "轉發", "转寄", "轉寄": // Chinese
	case "返信", "転送": // Japanese
	case "답장", "회신", "전달": // Korean
	default:
		return false
	}
	return true
}
