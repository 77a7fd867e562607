package storage

import (
	"testing"
	"time"
)

// TestSearchLanguages: what people type in their languages finds what others wrote in theirs.
func TestSearchLanguages(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	docs := []IndexDoc{
		1: {Subject: "Résumé of the meeting", Text: "The naïve co-operation of Zoë’s office cost $1,250.50 in Q3."},
		2: {Subject: "Grüße aus der Straße",
			Text: "Die Donau\u00addampf\u00adschiff\u00adfahrt und die Zahn\u200bbürste. MASSE ẞ"},
		3:  {Subject: "Été à Orléans", Text: "L’œuvre d’art coûte très cher, garçon ! Nº 42"},
		4:  {Subject: "Срочно: счёт за май", Text: "Съешь ещё этих мягких французских булок. Йод и Ёлка"},
		5:  {Subject: "Καλημέρα κόσμε", Text: "Ο Οδυσσέας γύρισε στην Ιθάκη. ΜΑΪΟΣ και ΰ"},
		6:  {Subject: "İstanbul’da ışık", Text: "Diyarbakır ILIK süt, çağrı ve öğrenci"},
		7:  {Subject: "Zażółć gęślą jaźń", Text: "Łódź jest piękna, a Żubr śpi."},
		8:  {Subject: "كَتَبَ مُحَمَّدٌ رِسَالَةً", Text: "السَّلَامُ عَلَيْكُمْ، فاتورة رقم ١٢٣٤٥ أحـــمد"},
		9:  {Subject: "שָׁלוֹם עוֹלָם", Text: "חֲשְׁבּוֹנִית מִס׳ 99"},
		10: {Subject: "हिन्दी में पत्र", Text: "कुत्ता और किताब, क़लम तथा फ़िल्म २०२६"},
		11: {Subject: "ประเทศไทยสวยงาม", Text: "ใบแจ้งหนี้เดือนพฤษภาคม ๒๕๖๙ น้ำแข็ง"},
		12: {Subject: "東京都の会議", Text: "ﾊﾟｿｺﾝとサーバーを確認してください。ＩＤ：１２３４５　Ｔｏｋｙｏ 株式会社㈱"},
		13: {Subject: "發票與合同", Text: "请在星期五之前付款。我们在北京见面"},
		14: {Subject: "회의실 예약 안내", Text: "김철수님이 서울에서 보냅니다"},
		15: {Subject: "Hóa đơn tháng năm", Text: "Đường đến Hà Nội rất đẹp, cảm ơn bạn"},
		16: {Subject: "می\u200cخواهم نامه", Text: "صورت\u200cحساب شمارهٔ ۶۷۸۹۰"},
		17: {Subject: "ພາສາລາວງາມ", Text: "ສະບາຍດີເມືອງວຽງຈັນ"},
		18: {Subject: "မြန်မာဘာသာ", Text: "ရန်ကုန်မြို့မှာနေတယ်"},
		19: {Subject: "ភាសាខ្មែរ", Text: "ទីក្រុងភ្នំពេញស្អាត"},
		20: {Subject: "Party 🎉🎉 tonight", Text: "Bring 🍕, we ❤️ it 👍🏽 👩‍💻 🇩🇪 ﬁnance oﬃce x² ½"},
	}
	var all []Arrival
	for uid := 1; uid < len(docs); uid++ {
		a := b.arrival(UID(uid), uid)
		a.InternalDate = time.Unix(1_700_000_000-int64(uid), 0) // so they come in the order of their numbers
		all = append(all, a)
	}
	b.store(box, 7, all...)
	b.index(func(row EmailRow) IndexDoc {
		doc := docs[row]
		doc.Email = row
		return doc
	})
	queries := []struct{ text, want string }{
		// English
		{"resume", "1"}, {"RÉSUMÉ", "1"}, {"naive", "1"}, {"zoe", "1"}, {"co-operation", "1"}, {"1250", ""},
		{"1,250.50", "1"},
		{"off*", "1 20"}, {`"of the meeting"`, "1"}, {"eet", ""},
		// German
		{"grusse", "2"}, {"Grüße", "2"}, {"strasse", "2"}, {"STRASSE", "2"}, {"Straße", "2"},
		{"donaudampfschifffahrt", "2"},
		{"zahnburste", "2"}, {"Zahnbürste", "2"}, {"maße", "2"}, {"ss", "2"},
		// French
		{"ete", "3"}, {"œuvre", "3"}, {"oeuvre", "3"}, {"garcon", "3"}, {"d'art", "3"}, {"no 42", "3"},
		// Russian
		{"счет", "4"}, {"СЧЁТ", "4"}, {"еще", "4"}, {"елка", "4"}, {"йод", "4"}, {"франц*", "4"},
		// Greek
		{"καλημερα", "5"}, {"ΚΑΛΗΜΕΡΑ", "5"}, {"κοσμε", "5"}, {"οδυσσεας", "5"}, {"ΟΔΥΣΣΕΑΣ", "5"}, {"μαϊος", "5"},
		// Turkish
		{"istanbul", "6"}, {"ISTANBUL", "6"}, {"ışık", "6"}, {"isik", "6"}, {"diyarbakir", "6"}, {"ogrenci", "6"},
		{"cagri", "6"},
		// Polish
		{"zazolc", "7"}, {"lodz", "7"}, {"ŁÓDŹ", "7"}, {"zubr", "7"},
		// Arabic
		{"كتب محمد", "8"}, {"رسالة", "8"}, {"السلام", "8"}, {"12345", "8 12"}, {"١٢٣٤٥", "8 12"}, {"احمد", "8"},
		{"أحمد", "8"},
		// Hebrew
		{"שלום", "9"}, {"עולם", "9"}, {"חשבונית", "9"}, {"שָׁלוֹם", "9"},
		// Hindi: vowel signs tell words apart
		{"हिन्दी", "10"}, {"कुत्ता", "10"}, {"कत्त", ""}, {"किताब", "10"}, {"कताब", ""}, {"कलम", "10"}, {"फिल्म",
			"10"}, {"2026", "10"},
		// Thai
		{"ไทย", "11"}, {"สวย", "11"}, {"ประเทศ", "11"}, {"งาม", "11"}, {"ม", "11"}, {"แจ้งหนี้", "11"}, {"2569",
			"11"}, {"น้ำ", "11"},
		// Japanese
		{"東京", "12"}, {"京都", "12"}, {"都", "12"}, {"議", "12"}, {"パソコン", "12"}, {"ソコン", "12"}, {"サーバー", "12"},
		{"tokyo", "12"},
		{"株", "12"}, {"確認", "12"},
		// Chinese
		{"發票", "13"}, {"同", "13"}, {"星期五", "13"}, {"期五", "13"}, {"北京", "13"}, {"面", "13"}, {"京北", ""},
		// Korean
		{"회의", "14"}, {"의실", "14"}, {"서울", "14"}, {"안내", "14"}, {"내", "14"}, {"철수", "14"},
		// Vietnamese
		{"hoa don", "15"}, {"duong", "15"}, {"Đường", "15"}, {"ha noi", "15"}, {"cam on", "15"},
		// Persian
		{"میخواهم", "16"}, {"می\u200cخواهم", "16"}, {"صورتحساب", "16"}, {"67890", "16"}, {"شماره", "16"},
		// Lao, Burmese, Khmer
		{"ລາວ", "17"}, {"ງາມ", "17"}, {"ວຽງຈັນ", "17"}, {"ဘာသာ", "18"}, {"ရန်ကုန်", "18"}, {"ကုန်", "18"}, {"ខ្មែរ",
			"19"},
		{"ភ្នំពេញ", "19"}, {"ស្អាត", "19"},
		// pictures and compatibility forms
		{"🎉", "20"}, {"🎉🎉🎉", "20"}, {"🍕", "20"}, {"❤", "20"}, {"❤️", "20"}, {"👍", "20"}, {"👍🏿", "20"}, {"👩", "20"},
		{"💻", "20"},
		{"🇩🇪", "20"}, {"🚀", ""}, {"finance office", "20"}, {"ﬁnance", "20"}, {"x2", "20"},
		{`"party 🎉 tonight"`, "20"},
		// across languages
		{"lodz OR strasse", "2 7"}, {"(東京 OR 北京) -株", "13"}, {"subject:(ไทย OR ລາວ)", "11 17"}, {"Москва", ""},
	}
	if len(queries) < 80 {
		t.Errorf("only %d queries", len(queries))
	}
	for _, q := range queries {
		if got := b.find(q.text, 50); got != q.want {
			t.Errorf("%q finds %q, want %q", q.text, got, q.want)
		}
	}
	t.Logf("%d queries", len(queries))
}
