package corpus

import (
	"math"
	"math/rand/v2"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

// language draws text.
type language struct {
	code     string
	charset  string // a charset other than UTF-8 mail in this language comes in
	encoding encoding.Encoding
	blank    string   // between words
	stop     string   // ends a sentence
	picks    []string // words by Zipf's law: one is drawn evenly
}

// newLanguages makes the word tables: first frequent real words, then words
// made of syllables.
func newLanguages() []*language {
	return []*language{
		newLanguage("en", "us-ascii", charmap.ISO8859_1, " ", ".",
			`the of and to in we is that for it on with you as are this by be have at from or not your can will has
			if but all one our which about would there when more please meeting report invoice project question
			answer today tomorrow week thanks regards attached budget review version release server table garden
			kitchen train station ticket`,
			`ba co den er fi gra hol in ka lo mer nor o pin que ra sto ter un ver wil yon`),
		newLanguage("de", "iso-8859-1", charmap.ISO8859_1, " ", ".",
			`der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus
			er hat dass sie nach wird bei einer um am sind noch wie einem über so zum kann haben nur oder aber vor
			zur bis mehr durch Rechnung Angebot Termin Frage Antwort heute morgen Woche Grüße Anhang Küche Straße
			Prüfung Größe Übergabe Fahrkarte`,
			`ab bel chen dür ein fäl ge hau ig jung keit lös mög nung ort pfle rüh schaf tung un ver wän zeit`),
		newLanguage("fr", "iso-8859-1", charmap.ISO8859_1, " ", ".",
			`de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec ou
			mais comme nous vous leur bien été être fait réunion facture projet réponse aujourd'hui demain semaine
			merci déjà élève forêt cuisine jardin`,
			`an bleu cha dé eau fer gé hô ique jou lais mé nê oir pré que ré sou té ure vien`),
		newLanguage("ru", "koi8-r", charmap.KOI8R, " ", ".",
			`и в не на я быть он с что а по это она этот к но они мы весь который из у свой вы за для от так мочь
			все ты же год человек один такой тот или если только его бы себя другой когда уже как счёт встреча
			проект вопрос ответ сегодня завтра неделя спасибо`,
			`ба вер го де жи за ко ло ми но об пра ре сто ту фор хо це чи шу`),
		newLanguage("ja", "iso-2022-jp", japanese.ISO2022JP, "", "。",
			`の に は を た が で て と し れ さ ある いる も する から な こと として い や れる など なっ ない この ため その あっ よう また もの という あり まで られ なる へ か
			だ これ によって により おり より による 会議 請求書 計画 質問 回答 今日 明日 来週 資料 確認 お願い 台所 駅 切符`,
			`東 西 山 川 田 中 本 学 校 電 車 時 間 新 聞 国 語 社 会 人 手 紙`),
	}
}

func newLanguage(code, charset string, enc encoding.Encoding, blank, stop, frequent, syllables string) *language {
	words := strings.Fields(frequent)
	parts := strings.Fields(syllables)
	// The tables must not depend on the corpus's seed: words are what tests search for.
	r := rand.New(rand.NewPCG(uint64(len(frequent)), uint64(len(syllables))))
	for len(words) < 4000 {
		var b strings.Builder
		for range 2 + r.IntN(3) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		words = append(words, b.String())
	}
	l := &language{code: code, charset: charset, encoding: enc, blank: blank, stop: stop,
		picks: make([]string, 0, 1<<15)}
	total := 0.0
	for i := range words {
		total += 1 / float64(i+3)
	}
	for i, word := range words {
		share := 1 / float64(i+3) / total
		for range max(1, int(math.Round(share*(1<<15)))) {
			l.picks = append(l.picks, word)
		}
	}
	return l
}

func (l *language) word(r *rand.Rand) string { return l.picks[r.IntN(len(l.picks))] }

// title gives a subject of three to eight words.
func (l *language) title(r *rand.Rand) string {
	words := make([]string, 3+r.IntN(6))
	for i := range words {
		words[i] = l.word(r)
	}
	return strings.Join(words, l.blank)
}

// text gives about size bytes of UTF-8 in sentences and paragraphs. Lines have
// about 70 columns and end in "\n".
func (l *language) text(r *rand.Rand, size int) string {
	var b strings.Builder
	b.Grow(size + 64)
	column, sentence, paragraph := 0, 5+r.IntN(12), 3+r.IntN(5)
	for b.Len() < size {
		word := l.word(r)
		b.WriteString(word)
		column += len(word)
		if sentence--; sentence == 0 {
			b.WriteString(l.stop)
			sentence = 5 + r.IntN(12)
			if paragraph--; paragraph == 0 {
				b.WriteString("\n\n")
				column, paragraph = 0, 3+r.IntN(5)
				continue
			}
		}
		if column > 68 {
			b.WriteByte('\n')
			column = 0
		} else {
			b.WriteString(l.blank)
			column += len(l.blank)
		}
	}
	b.WriteByte('\n')
	return b.String()
}
