package demo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// thread is one conversation between the owner of the mailbox and one or two
// others.
type thread struct {
	lang    *language
	topic   *topic
	subject string
	others  []person
	ids     []string // Message-IDs so far, oldest first
	last    *draft
	lastMsg *Message
	replies []string // not yet said
	end     string   // said last, then empty
}

func (t *thread) finished() bool { return len(t.replies) == 0 && t.end == "" }

// newThread opens a conversation at date.
func (g *generator) newThread(date time.Time) error {
	lang := &g.book.langs[0]
	if g.rng.IntN(100) < 45 {
		lang = &g.book.langs[1+g.rng.IntN(len(g.book.langs)-1)]
	}
	tp := &lang.topics[g.rng.IntN(len(lang.topics))]
	t := &thread{
		lang:    lang,
		topic:   tp,
		subject: g.speak(lang, pick(g.rng, tp.subjects), ""),
		others:  g.company(lang),
		replies: shuffled(g.rng, tp.replies),
		end:     pick(g.rng, tp.ends),
	}
	d := &draft{from: t.others[0], to: []person{g.book.me}, cc: t.others[1:], date: date, subject: t.subject}
	if g.rng.IntN(100) < 22 { // the owner begins
		d.from, d.to, d.cc = g.book.me, t.others, nil
	}
	paragraphs := shuffled(g.rng, tp.opens)
	d.text = g.letterText(t, d, "", paragraphs[:1+g.rng.IntN(min(2, len(paragraphs)))])
	if tp.attach != "" && g.rng.IntN(100) < 60 {
		f, err := makeFile(g.rng, tp.attach, t.subject, date)
		if err != nil {
			return err
		}
		d.files = append(d.files, f)
	}
	if err := g.post(t, d); err != nil {
		return err
	}
	g.threads = append(g.threads, t)
	return nil
}

// company picks the other people of a conversation: now and then two.
func (g *generator) company(lang *language) []person {
	people := shuffled(g.rng, lang.people)
	if len(people) > 1 && g.rng.IntN(4) == 0 {
		return people[:2]
	}
	return people[:1]
}

// nextSender lets the owner and the others take turns.
func (g *generator) nextSender(t *thread) person {
	if t.last.from == g.book.me {
		return t.others[g.rng.IntN(len(t.others))]
	}
	if len(t.others) > 1 && g.rng.IntN(3) == 0 {
		return t.others[g.rng.IntN(len(t.others))]
	}
	return g.book.me
}

// replyTo continues t. It must not be finished.
func (g *generator) replyTo(t *thread, date time.Time, from person) error {
	d := g.answer(t, date, from)
	var said []string
	if len(t.replies) > 0 {
		said, t.replies = t.replies[:1], t.replies[1:]
	} else {
		said, t.end = []string{t.end}, ""
	}
	d.text = g.letterText(t, d, g.quote(t), said)
	answered := t.lastMsg
	if err := g.post(t, d); err != nil {
		return err
	}
	if from == g.book.me && answered.Mailbox != "Sent" {
		answered.Flags = append(answered.Flags, imap.FlagAnswered)
		if !slices.Contains(answered.Flags, imap.FlagSeen) {
			answered.Flags = append(answered.Flags, imap.FlagSeen)
		}
	}
	return nil
}

// answer is an empty reply to the last message of t.
func (g *generator) answer(t *thread, date time.Time, from person) *draft {
	d := &draft{from: from, date: date, subject: "Re: " + t.subject, references: slices.Clone(t.ids)}
	if from == g.book.me {
		d.to = t.others
		return d
	}
	d.to = []person{g.book.me}
	for _, p := range t.others {
		if p != from {
			d.cc = append(d.cc, p)
		}
	}
	return d
}

// post gives d its identity, files it and makes it the last of t.
func (g *generator) post(t *thread, d *draft) error {
	g.identify(d)
	if g.rng.IntN(100) < 30 {
		d.html = htmlText(d.text)
	}
	mailbox, flags := g.file(t, d)
	m, err := g.keep(d, mailbox, flags...)
	if err != nil {
		return err
	}
	t.ids, t.last, t.lastMsg = append(t.ids, d.id), d, m
	return nil
}

// file decides where a person would keep this message.
func (g *generator) file(t *thread, d *draft) (string, []imap.Flag) {
	if d.from == g.book.me {
		return "Sent", []imap.Flag{imap.FlagSeen}
	}
	age := g.now.Sub(d.date)
	if age < 10*24*time.Hour || t.topic.mailbox == "Archive" && age < 45*24*time.Hour {
		return "INBOX", g.readFlags(d.date)
	}
	return t.topic.mailbox, g.readFlags(d.date)
}

// identify sets the Message-ID and the sender's clock.
func (g *generator) identify(d *draft) {
	g.serial++
	_, domain, _ := strings.Cut(d.from.addr, "@")
	d.id = fmt.Sprintf("%x.%d@%s", g.rng.Uint64(), g.serial, domain)
	hours := map[string]int{"de": 1, "fr": 1, "es": 1, "it": 1, "pl": 1, "el": 2, "ar": 3, "zh": 8,
		"ja": 9}[d.from.lang]
	d.date = d.date.In(time.FixedZone("", hours*3600))
}

// letterText is a whole letter: greeting, paragraphs, name, quotation.
func (g *generator) letterText(t *thread, d *draft, quoted string, paragraphs []string) string {
	to := d.to[0].first()
	var b strings.Builder
	b.WriteString(g.speak(t.lang, pick(g.rng, t.lang.hellos), to) + "\n\n")
	for _, p := range paragraphs {
		b.WriteString(wrap(g.speak(t.lang, p, to), 74) + "\n\n")
	}
	b.WriteString(pick(g.rng, t.lang.byes) + "\n" + d.from.first() + "\n")
	d.own = b.String()
	if quoted != "" {
		b.WriteString("\n" + quoted)
	}
	return b.String()
}

// quote cites the last message without its own quotation.
func (g *generator) quote(t *thread) string {
	if g.rng.IntN(100) < 30 {
		return ""
	}
	head := strings.NewReplacer("{date}", t.last.date.Format("2006-01-02 15:04"), "{name}", t.last.from.name).
		Replace(pick(g.rng, t.lang.quotes))
	var b strings.Builder
	b.WriteString(head + "\n")
	for line := range strings.SplitSeq(strings.TrimRight(t.last.own, "\n"), "\n") {
		b.WriteString(strings.TrimRight("> "+line, " ") + "\n")
	}
	return b.String()
}

// speak fills the slots of a phrase.
func (g *generator) speak(lang *language, phrase, you string) string {
	day := pick(g.rng, lang.days)
	return strings.NewReplacer(
		"{you}", you,
		"{day}", day,
		"{place}", pick(g.rng, lang.places),
		"{time}", fmt.Sprintf("%d:%02d", 8+g.rng.IntN(12), 15*g.rng.IntN(4)),
		"{n}", fmt.Sprint(2+g.rng.IntN(8)),
	).Replace(phrase)
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

func shuffled[T any](rng *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// wrap breaks lines at spaces; text without spaces stays as it is.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
