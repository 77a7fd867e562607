package demo

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed text/*.txt
var texts embed.FS

// person is one invented correspondent.
type person struct {
	lang, name, addr string
}

// first is the name that a friend would use. Languages that write names
// without spaces keep the whole name.
func (p person) first() string {
	first, _, _ := strings.Cut(p.name, " ")
	return first
}

// topic is a subject of conversation with what people say about it: one
// opening, replies in any order, one end.
type topic struct {
	mailbox                        string // where it is filed once it is old
	attach                         string // kind and file name, may be empty
	subjects, opens, replies, ends []string
}

// language holds the phrases of one language.
type language struct {
	name                               string
	hellos, byes, quotes, days, places []string
	topics                             []topic
	people                             []person
}

// letter is one newsletter, notice one automatic mail (or one junk mail).
type letter struct {
	name, addr, colour string
	heads, items       []string
}

type notice struct {
	name, addr, subject, text string
}

// phrasebook is everything under text/.
type phrasebook struct {
	me      person
	langs   []language
	letters []letter
	notices []notice
	junk    []notice
}

// loadPhrases reads the embedded files. Each line is "key: value"; a topic
// or a letter begins with its own key and owns what follows. "#" comments.
func loadPhrases() (*phrasebook, error) {
	book := &phrasebook{}
	// English first: it is weighted most, and the order must be fixed.
	for _, name := range []string{"en", "de", "fr", "es", "it", "pt", "pl", "ja", "zh", "ar", "el"} {
		lang := language{name: name}
		if err := eachLine(name+".txt", ":", lang.add); err != nil {
			return nil, err
		}
		book.langs = append(book.langs, lang)
	}
	if err := eachLine("people.txt", "|", book.addPerson); err != nil {
		return nil, err
	}
	if err := eachLine("letters.txt", ":", book.addLetter); err != nil {
		return nil, err
	}
	return book, nil
}

func eachLine(file, sep string, add func(key, value string) error) error {
	raw, err := texts.ReadFile(path.Join("text", file))
	if err != nil {
		return fmt.Errorf("demo text: %w", err)
	}
	for i, line := range strings.Split(string(raw), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, sep)
		if !ok {
			return fmt.Errorf("demo text %s line %d: no %q", file, i+1, sep)
		}
		if err := add(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("demo text %s line %d: %w", file, i+1, err)
		}
	}
	return nil
}

func (l *language) add(key, value string) error {
	if key == "topic" {
		l.topics = append(l.topics, topic{mailbox: value})
		return nil
	}
	general := map[string]*[]string{
		"hello": &l.hellos, "bye": &l.byes, "quote": &l.quotes, "day": &l.days, "place": &l.places,
	}
	if list, ok := general[key]; ok {
		*list = append(*list, value)
		return nil
	}
	if len(l.topics) == 0 {
		return fmt.Errorf("%q outside a topic", key)
	}
	t := &l.topics[len(l.topics)-1]
	switch key {
	case "subject":
		t.subjects = append(t.subjects, value)
	case "open":
		t.opens = append(t.opens, value)
	case "reply":
		t.replies = append(t.replies, value)
	case "end":
		t.ends = append(t.ends, value)
	case "attach":
		t.attach = value
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

func (b *phrasebook) addPerson(lang, rest string) error {
	name, addr, ok := strings.Cut(rest, "|")
	if !ok {
		return fmt.Errorf("person without address")
	}
	p := person{lang: lang, name: strings.TrimSpace(name), addr: strings.TrimSpace(addr)}
	if lang == "me" {
		b.me = p
		return nil
	}
	for i := range b.langs {
		if b.langs[i].name == lang {
			b.langs[i].people = append(b.langs[i].people, p)
			return nil
		}
	}
	return fmt.Errorf("no language %q", lang)
}

func (b *phrasebook) addLetter(key, value string) error {
	fields := strings.Split(value, "|")
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	switch {
	case key == "letter" && len(fields) == 3:
		b.letters = append(b.letters, letter{name: fields[0], addr: fields[1], colour: fields[2]})
	case key == "notice" && len(fields) == 4:
		b.notices = append(b.notices, notice{fields[0], fields[1], fields[2], fields[3]})
	case key == "junk" && len(fields) == 4:
		b.junk = append(b.junk, notice{fields[0], fields[1], fields[2], fields[3]})
	case key == "head" && len(b.letters) > 0:
		l := &b.letters[len(b.letters)-1]
		l.heads = append(l.heads, value)
	case key == "item" && len(b.letters) > 0:
		l := &b.letters[len(b.letters)-1]
		l.items = append(l.items, value)
	default:
		return fmt.Errorf("cannot read %q with %d fields", key, len(fields))
	}
	return nil
}
