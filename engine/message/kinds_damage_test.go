package message

import (
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

func kindsDamagedMultiByte() []kind {
	gb, big5 := simplifiedchinese.GBK, traditionalchinese.Big5
	return []kind{
		{name: "gb2312, the first byte is damaged", raw: "Subject: =?gb2312?B?" + b64("\xfc"+in(gb, "会议通知")[1:]) +
			"?=\r\n\r\nx", subject: "\ufffd议通知"},
		{name: "gb2312, two characters", raw: "Subject: =?gb2312?B?" + b64(in(gb, "会")+"\xff\xe9") +
			"?=\r\n\r\nx", subject: "会\ufffd\ufffd"},
		{name: "gb2312, out of step", raw: plainPart("gb2312", "/"+in(gb, "明天下午三点开会")[1:]),
			text: "/魈煜挛缛\ufffd憧\ufffd\ufffd"},
		{name: "big5, last one is user-defined", raw: "Subject: =?big5?B?" + b64(in(big5, "會議通")+"\x81\xab") +
			"?=\r\n\r\nx", subject: "會議通\ufffd"},
		{name: "big5, two are user-defined", raw: plainPart("big5",
			"\x81\xab"+in(big5, "明天下午三點開會，請")+"\x82\xac"), text: "\ufffd明天下午三點開會，請\ufffd"},
		{name: "big5, is gb2312", raw: plainPart("big5", in(gb,
			"我们将于星期一上午九点在三号会议室举行本季度的工作总结会议，请各部门负责人准时参加。")),
			text: "我们将于星期一上午九点在三号会议室举行本季度的工作总结会议，请各部门负责人准时参加。"},
		{name: "gb2312, is big5", raw: plainPart("gb2312", in(big5, "親愛的客戶：您的訂單已經出貨，請注意查收。")),
			text: "親愛的客戶：您的訂單已經出貨，請注意查收。"},
		{name: "gb2312, is big5, five characters", raw: "Subject: =?gb2312?B?" + b64(in(big5, "請查收附件")) +
			"?=\r\n\r\nx", subject: "請查收附件"},
		{name: "euc-jp, is Shift_JIS, two characters", raw: "Subject: =?euc-jp?B?" + b64(in(japanese.ShiftJIS, "東京")) +
			"?=\r\n\r\nx", subject: "東京"},
		{name: "gb2312, is latin-1 with one letter", raw: plainPart("gb2312", "perch\xe8 no"), text: "perchè no"},
	}
}

// TestDamagedCharacter damages each byte of texts in turn. What the charset of a
// text cannot read then costs itself: it makes no text of another language.
func TestDamagedCharacter(t *testing.T) {
	simple := []string{"会议", "会议通知", "请查收附件", "明天下午三点开会", "您好，请查收附件中的合同，谢谢大家的支持。", "Re: 报价单",
		"我们将于星期一上午九点在三号会议室举行本季度的工作总结会议，请各部门负责人准时参加。"}
	traditional := []string{"會議", "會議通知", "請查收附件", "明天下午三點開會", "您好，請查收附件中的合約，謝謝大家的支持。", "Re: 報價單",
		"我們將於星期一上午九點在三號會議室舉行本季的工作總結會議，請各部門負責人準時參加。"}
	japaneseTexts := []string{"東京", "会議の資料", wordsJP, "カタログ送付", "お世話になっております。添付の資料をご確認ください。"}
	for _, c := range []struct {
		name  string
		enc   encoding.Encoding
		texts []string
	}{
		{"gb18030", simplifiedchinese.GB18030, simple},
		{"gb18030, traditional", simplifiedchinese.GB18030, traditional},
		{"big5", traditionalchinese.Big5, traditional}, {"shift_jis", japanese.ShiftJIS, japaneseTexts},
		{"euc-jp", japanese.EUCJP, japaneseTexts},
		{"euc-kr", korean.EUCKR, []string{"회의", "내일 회의", "견적서 보내드립니다"}},
	} {
		unread, other, example := 0, 0, ""
		for _, text := range c.texts {
			whole := in(c.enc, text)
			for i := range whole {
				for v := byte(' '); v < 0xfd; v += 3 {
					b := []byte(whole[:i] + string([]byte{v}) + whole[i+1:])
					own := decode(c.enc, b)
					if !strings.Contains(own, "\ufffd") {
						continue
					}
					unread++
					if got := newCharsets().decodeMulti(c.enc, b); got != own {
						other++
						example = got
					}
				}
			}
		}
		t.Logf("%s: %d of %d are another language", c.name, other, unread)
		if unread < 100 || other*200 > unread {
			t.Errorf("%s: %d of %d are another language, as %q", c.name, other, unread, example)
		}
	}
}

func kindsLinks() []kind {
	html := func(s string) string { return "Content-Type: text/html\r\n\r\n" + s }
	const url = "https://docs.example.org/d/1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT/edit?usp=sharing"
	link := `<a href="` + url + `">` + url + `</a>`
	track := "https://track.example.org/w/" + strings.Repeat("a1", 200)
	offer := "<p>All tulips are half price, until Sunday evening."
	return []kind{
		{name: "a letter with a link, linked on the page", raw: parts("alternative",
			crlf("", "Hi Bob,", "", "here is the plan: "+url, "", "Ann"),
			html("<p>Hi Bob!<p>here is the plan: "+link+"<p>Ann")),
			text: "Hi Bob,\n\nhere is the plan: " + url + "\n\nAnn"},
		{name: "one word and a link", raw: parts("alternative", crlf("", "Look", url), html("Look<br>\r\n<br>"+link)),
			text: "Look\n" + url},
		{name: "a letter and a link, the page says more", raw: parts("alternative", crlf("", "Hi Bob, "+url),
			html("<p>Hi Bob, "+link+offer)),
			text: "Hi Bob, " + url + "\n\nAll tulips are half price, until Sunday evening."},
		{name: "the same link alone", raw: parts("alternative", crlf("", url+" "), html("<p>"+link+"<p>"+link)),
			text: url},
		{name: "only a long link", raw: parts("alternative", crlf("", track), html(offer)),
			text: "All tulips are half price, until Sunday evening."},
		{name: "a long link and few words", raw: parts("alternative", crlf("", "All tulips: "+track), html(offer)),
			text: "All tulips are half price, until Sunday evening."},
		{name: "nothing, the page is a link", raw: parts("alternative", crlf("", " "), html(link)), text: url},
		{name: "a link behind another text", raw: parts("mixed", crlf("", "see below"), strings.TrimPrefix(parts(
			"alternative", crlf("", track), html(offer)), "Subject: s\r\nMIME-Version: 1.0\r\n")),
			text: "see below\n\nAll tulips are half price, until Sunday evening."},
	}
}

// strayBody is base64 of a file in lines.
func strayBody(enc *base64.Encoding, file string) []string {
	var lines []string
	for s := enc.EncodeToString([]byte(file)); s != ""; {
		n := min(76, len(s))
		lines, s = append(lines, s[:n]), s[n:]
	}
	return lines
}

func kindsStrayBase64() []kind {
	ascii := strings.Repeat("Badgers dig at night. ", 14)                // its base64 has neither "+" nor "/"
	marks := strings.TrimSpace(strings.Repeat("Größe >>> ??? ~~~ ", 14)) // its base64 has both
	damage := func(file string, line, at int, with string) kind {
		lines := strayBody(base64.StdEncoding, file)
		lines[line] = lines[line][:at] + with + lines[line][at:]
		return kind{raw: crlf("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64", "",
			strings.Join(lines, "\r\n")), text: strings.TrimSpace(file)}
	}
	var all []kind
	for _, c := range []struct {
		name, file string
		line, at   int
		with       string
	}{
		{"hyphen at the end of a line", ascii, 1, 76, "-"},
		{"hyphen inside a line", ascii, 1, 30, "-"},
		{"hyphen in the first line", ascii, 0, 31, "-"},
		{"underscore in the last line", ascii, 5, 2, "_"},
		{"two", ascii, 2, 7, "_-"},
		{"hyphen behind a plus", marks, 2, 30, "-"},
		{"four behind a plus", marks, 2, 30, "-__-"},
		{"underscore at the start", marks, 1, 0, "_"},
	} {
		k := damage(c.file, c.line, c.at, c.with)
		k.name = c.name
		all = append(all, k)
	}
	rule := strayBody(base64.URLEncoding, marks+"?>")
	return append(all, kind{name: "the other alphabet in lines", raw: crlf("Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: base64", "", strings.Join(rule, "\r\n")), text: marks + "?>"},
		kind{name: "a rule below the other alphabet", raw: crlf("Content-Type: text/plain; charset=utf-8",
			"Content-Transfer-Encoding: base64", "", strings.Join(rule, "\r\n"), strings.Repeat("_", 48), "Bye"),
			text: marks + "?>\n\n" + strings.Repeat("_", 48) + "\nBye"})
}

// TestOtherAlphabetRuns: lines of nothing but "_" are data of a file in the
// alphabet of RFC 4648 §5.
func TestOtherAlphabetRuns(t *testing.T) {
	file := strings.Repeat("\x01\x02\x03>", 60) + strings.Repeat("\xff", 300) + strings.Repeat("end?", 20)
	raw := crlf("Content-Type: a/b", "Content-Transfer-Encoding: base64", "",
		strings.Join(strayBody(base64.URLEncoding, file), "\r\n"))
	r, _, ok := Part(strings.NewReader(raw), "1", Limits{})
	if !ok {
		t.Fatal("no part")
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != file {
		t.Errorf("%d bytes of %d, %v: %.80q", len(got), len(file), err, got)
	}
}
