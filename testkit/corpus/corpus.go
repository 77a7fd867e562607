package corpus

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Options shape the stream. Zero values mean the defaults.
type Options struct {
	AvgSize         int       // mean size of a message; default 20000
	AttachmentShare float64   // share of messages with attachments, 0…1; default 0.2, negative for none
	End             time.Time // the date of the last message; default 2024-06-30. The first is three years older.
}

// Message is one generated mail.
type Message struct {
	Raw     []byte
	Date    time.Time // of the Date field, and fit for INTERNALDATE
	Flags   []string  // system flags a person would have set; nil for one not read yet
	Subject string    // decoded
	ID      string    // Message-ID without angle brackets
}

const span = 3 * 365 * 24 * time.Hour

// textMean is the mean size of a message without attachments, where AvgSize allows.
const textMean = 8000

// Generate gives n messages, oldest first.
func Generate(seed uint64, n int, o Options) iter.Seq[Message] {
	if o.AvgSize <= 0 {
		o.AvgSize = 20_000
	}
	if o.AttachmentShare == 0 {
		o.AttachmentShare = 0.2
	}
	o.AttachmentShare = min(1, max(0, o.AttachmentShare))
	if o.End.IsZero() {
		o.End = time.Date(2024, 6, 30, 12, 0, 0, 0, time.UTC)
	}
	return func(yield func(Message) bool) {
		g := &generator{
			r:         rand.New(rand.NewPCG(seed, 0x6d61696c)),
			seed:      seed,
			options:   o,
			languages: newLanguages(),
			people:    newPeople(),
		}
		for i := range n {
			age := time.Duration(float64(span) * float64(n-1-i) / float64(max(1, n)))
			if !yield(g.message(i, o.End.Add(-age).Truncate(time.Second))) {
				return
			}
		}
	}
}

type generator struct {
	r         *rand.Rand
	seed      uint64
	options   Options
	languages []*language
	people    []person
	recent    []post // what may be answered
}

// post is what an answer needs to know of the message it answers.
type post struct {
	id         string
	references []string
	subject    string
	quote      string
	from       person
	language   *language
}

// message draws everything in a fixed order. A change here changes every
// corpus: note it in docs/changes.md.
func (g *generator) message(i int, date time.Time) Message {
	p := post{
		id:       fmt.Sprintf("%x.%d.%08x@%s", g.seed, i, g.r.Uint32(), "mail.example"),
		from:     g.people[g.r.IntN(len(g.people))],
		language: g.languages[zipfish(g.r, len(g.languages))],
	}
	to := g.people[g.r.IntN(len(g.people))]
	var parent *post
	if len(g.recent) > 0 && g.r.IntN(100) < 45 {
		parent = &g.recent[g.r.IntN(len(g.recent))]
		p.language, to = parent.language, parent.from
		p.references = append(p.references, parent.references[max(0, len(parent.references)-19):]...)
		p.references = append(p.references, parent.id)
		p.subject = "Re: " + strings.TrimPrefix(parent.subject, "Re: ")
	} else {
		p.subject = p.language.title(g.r)
	}
	attached := g.r.Float64() < g.options.AttachmentShare
	text := p.language.text(g.r, g.textSize(attached))
	if parent != nil {
		text = g.quoting(text, parent)
	}
	p.quote = firstLines(text, 6)

	var b builder
	g.header(&b, p, to, date)
	g.body(&b, p, text, attached)

	if len(g.recent) < 200 {
		g.recent = append(g.recent, p)
	} else {
		g.recent[g.r.IntN(len(g.recent))] = p
	}
	return Message{Raw: b.Bytes(), Date: date, Flags: g.flags(), Subject: p.subject, ID: p.id}
}

func (g *generator) header(b *builder, p post, to person, date time.Time) {
	b.field("Received", fmt.Sprintf("from mx.%s (mx.%s [192.0.2.%d])\r\n\tby mail.example with ESMTPS id %08x;\r\n\t%s",
		p.from.domain, p.from.domain, g.r.IntN(256), g.r.Uint32(), date.Format(time.RFC1123Z)))
	zone := time.FixedZone("", 3600*(g.r.IntN(12)-5))
	b.field("Date", date.In(zone).Format(time.RFC1123Z))
	b.field("From", p.from.address())
	b.field("To", to.address())
	if g.r.IntN(5) == 0 {
		cc := make([]string, 1+g.r.IntN(4))
		for i := range cc {
			cc[i] = g.people[g.r.IntN(len(g.people))].address()
		}
		b.field("Cc", strings.Join(cc, ",\r\n "))
	}
	b.field("Subject", encodeWords(p.subject, g.r.IntN(2) == 0))
	b.field("Message-ID", "<"+p.id+">")
	if n := len(p.references); n > 0 {
		b.field("In-Reply-To", "<"+p.references[n-1]+">")
		b.field("References", "<"+strings.Join(p.references, ">\r\n <")+">")
	}
	if g.r.IntN(6) == 0 {
		b.field("List-Id", "<"+p.language.code+"."+p.from.domain+">")
	}
	b.field("MIME-Version", "1.0")
}

// textSize draws the size of a message's text, with a long tail.
func (g *generator) textSize(attached bool) int {
	mean := float64(g.options.AvgSize)
	if g.options.AttachmentShare > 0 {
		mean = min(mean, textMean)
	}
	if attached {
		mean = min(mean, textMean/4)
	}
	// What the header and the markup of an alternative add on average.
	return max(40, int(g.logNormal(max(40, (mean-900)/1.75))))
}

// attachmentSize makes up for what the texts leave of AvgSize. 1.37 is the
// growth by base64 with its line ends.
func (g *generator) attachmentSize() int {
	share := g.options.AttachmentShare
	rest := float64(g.options.AvgSize) - (1-share)*min(float64(g.options.AvgSize), textMean)
	return max(200, int(g.logNormal(max(200, rest/share-textMean/4)/1.37)))
}

// logNormal draws from a log-normal distribution of the given mean, cut at twenty times that.
func (g *generator) logNormal(mean float64) float64 {
	const sigma = 0.9
	return min(20*mean, mean*math.Exp(sigma*g.r.NormFloat64()-sigma*sigma/2))
}

func (g *generator) quoting(text string, parent *post) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s <%s>:\n", parent.from.name, parent.from.mail)
	for line := range strings.Lines(parent.quote) {
		b.WriteString("> " + line)
	}
	return b.String() + "\n" + text
}

func (g *generator) flags() []string {
	var flags []string
	if g.r.IntN(4) > 0 {
		flags = append(flags, `\Seen`)
		if g.r.IntN(5) == 0 {
			flags = append(flags, `\Answered`)
		}
	}
	if g.r.IntN(15) == 0 {
		flags = append(flags, `\Flagged`)
	}
	return flags
}

func firstLines(text string, n int) string {
	end := 0
	for range n {
		next := strings.IndexByte(text[end:], '\n')
		if next < 0 {
			return text
		}
		end += next + 1
	}
	return text[:end]
}

// zipfish prefers small numbers: half the draws give 0, a quarter 1 and so on.
func zipfish(r *rand.Rand, n int) int {
	for i := range n - 1 {
		if r.IntN(2) == 0 {
			return i
		}
	}
	return n - 1
}
