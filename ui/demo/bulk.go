package demo

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// newsletter makes one issue of one of the newsletters, with HTML.
func (g *generator) newsletter(date time.Time) error {
	l := pick(g.rng, g.book.letters)
	heads, items := shuffled(g.rng, l.heads), shuffled(g.rng, l.items)
	n := 2 + g.rng.IntN(min(2, len(items)-1))
	_, domain, _ := strings.Cut(l.addr, "@")
	d := &draft{
		from:    person{"en", l.name, l.addr},
		to:      []person{g.book.me},
		date:    date,
		subject: fmt.Sprintf("%s: %s", l.name, heads[0]),
		list:    domain,
	}
	var text, page strings.Builder
	fmt.Fprintf(&text, "%s\n%s\n\n", l.name, strings.Repeat("=", len([]rune(l.name))))
	fmt.Fprintf(&page, `<!doctype html><html><head><meta charset="utf-8"><style>a{color:%[1]s}</style></head>`+
		`<body style="margin:0;background:#f4f1ea"><table role="presentation" width="100%%"><tr><td align="center">`+
		`<table role="presentation" width="600" style="background:#fff;font-family:Georgia,serif">`+
		`<tr><td style="background:%[1]s;color:#fff;padding:24px"><h1>%[2]s</h1></td></tr>`, l.colour,
		html.EscapeString(l.name))
	for i := range n {
		fmt.Fprintf(&text, "%s\n\n%s\n\n", heads[i], wrap(items[i], 74))
		fmt.Fprintf(&page, `<tr><td style="padding:16px 24px"><h2>%s</h2><p>%s</p></td></tr>`,
			html.EscapeString(heads[i]), html.EscapeString(items[i]))
	}
	fmt.Fprintf(&text, "--\nLeave this letter: leave@%s\n", domain)
	fmt.Fprintf(&page, `<tr><td style="padding:16px 24px;font-size:12px">You asked for this letter. `+
		`<a href="mailto:leave@%s">Leave it</a>.</td></tr></table></td></tr></table></body></html>`, domain)
	d.text, d.html = text.String(), page.String()
	g.identify(d)
	mailbox := "Newsletters"
	if age := g.now.Sub(date); age < 36*time.Hour {
		mailbox = "INBOX"
	} else if g.rng.IntN(8) == 0 {
		mailbox = "Trash"
	}
	_, err := g.keep(d, mailbox, g.readFlags(date)...)
	return err
}

// notice makes an automatic mail: a bill, a reminder, a receipt.
func (g *generator) notice(date time.Time) error {
	n := pick(g.rng, g.book.notices)
	d := g.automatic(n, date)
	if strings.Contains(n.text, "attached") {
		f, err := makeFile(g.rng, "pdf "+strings.ReplaceAll(n.name, "&", "and")+".pdf", d.subject, date)
		if err != nil {
			return err
		}
		d.files = append(d.files, f)
	}
	mailbox := "Archive"
	if age := g.now.Sub(date); age < 30*24*time.Hour {
		mailbox = "INBOX"
	} else if g.rng.IntN(5) == 0 {
		mailbox = "Trash"
	}
	_, err := g.keep(d, mailbox, g.readFlags(date)...)
	return err
}

func (g *generator) junk(date time.Time) error {
	d := g.automatic(pick(g.rng, g.book.junk), date)
	d.html = htmlText(d.text)
	_, err := g.keep(d, "Junk", "$Junk")
	return err
}

func (g *generator) automatic(n notice, date time.Time) *draft {
	en := &g.book.langs[0]
	d := &draft{
		from:    person{"en", n.name, n.addr},
		to:      []person{g.book.me},
		date:    date,
		subject: g.speak(en, n.subject, ""),
		text:    wrap(g.speak(en, n.text, g.book.me.first()), 74) + "\n\n" + n.name + "\n",
	}
	g.identify(d)
	return d
}

// draft makes an unfinished message of the owner: an answer to a
// conversation if there is one, else a new letter.
func (g *generator) draft(date time.Time) error {
	lang := &g.book.langs[0]
	tp := pick(g.rng, lang.topics)
	d := &draft{from: g.book.me, to: g.company(lang), date: date, subject: g.speak(lang, pick(g.rng, tp.subjects), "")}
	said := pick(g.rng, tp.opens)
	if t := g.openThread(); t != nil && t.lang == lang && g.rng.IntN(2) == 0 && t.last.date.Before(date) {
		d = g.answer(t, date, g.book.me)
		said = pick(g.rng, t.topic.replies)
	}
	// It breaks off in the middle, as drafts do.
	words := strings.Fields(g.speak(lang, said, d.to[0].first()))
	d.text = g.speak(lang, pick(g.rng, lang.hellos),
		d.to[0].first()) + "\n\n" + wrap(strings.Join(words[:len(words)*2/3], " "), 74) + "\n"
	g.identify(d)
	_, err := g.keep(d, "Drafts", imap.FlagDraft, imap.FlagSeen)
	return err
}

// htmlText shows plain text as simple HTML.
func htmlText(text string) string {
	var b strings.Builder
	b.WriteString("<html><body>")
	for p := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		b.WriteString("<p>" + strings.ReplaceAll(html.EscapeString(p), "\n", "<br>\n") + "</p>\n")
	}
	b.WriteString("</body></html>\n")
	return b.String()
}
