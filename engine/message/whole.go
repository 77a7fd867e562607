package message

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Whole is a message for somebody who reads it: its view, and what is not kept
// in the store.
type Whole struct {
	View

	// Links are the links of the HTML that Text was made from, in its order. URLs
	// that Text spells out follow, and then links of HTML that Text was not made
	// from, each target once. Targets are not part of Text, so no search finds
	// them: most are tracking addresses that would fill the index.
	Links []Link

	// HTML is the message's own HTML as UTF-8, whatever charset it had; "" if
	// there is none. It is the sender's, with scripts and all.
	HTML string
}

// ParseWhole is Parse that also finds the links and keeps the HTML. Memory is
// bounded by lim as well. The view is that of Parse, unless the message has more
// HTML than lim.HTML.
func ParseWhole(r io.Reader, lim Limits) Whole {
	b := builder{lim: lim.orDefaults(), cs: newCharsets(), whole: true}
	w := Whole{View: b.parse(r)}
	w.HTML = ownHTML(b.pages)
	if w.findLinks(b.pages, int(b.lim.Text)) {
		b.v = w.View
		b.problem("more links than are listed")
		w.View = b.v
	}
	return w
}

// htmlPage is one HTML body as UTF-8.
type htmlPage struct {
	text     string
	attached bool // it belongs to an attached message
}

// ownHTML joins the pages that are the message's own.
func ownHTML(pages []htmlPage) string {
	var own []string
	for _, p := range pages {
		if p.attached {
			continue
		}
		own = append(own, declareUTF8(p.text))
	}
	return strings.Join(own, "\n")
}

// declareUTF8 corrects the charset that a page declares for itself, because a
// browser would believe it.
func declareUTF8(page string) string {
	head := page[:min(len(page), 2048)]
	name := metaCharset([]byte(head))
	if name == "" || name == "utf-8" || name == "utf8" {
		return page
	}
	head = strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, head)
	_, after, _ := strings.Cut(head, "charset=")
	skipped, _, found := strings.Cut(after, name)
	if !found {
		return page
	}
	at := len(head) - len(after) + len(skipped)
	return page[:at] + "utf-8" + page[at+len(name):]
}

// findLinks fills Links. It reports whether some were left out. A page that the
// text was made from stands in it as a whole, so its anchors have a place.
func (w *Whole) findLinks(pages []htmlPage, limit int) (missing bool) {
	var shown, other []Link
	from, room, tries := 0, maxLinkBytes, 50 // each try may read the whole text
	for _, p := range pages {
		a := &anchors{room: room}
		text := reduceHTML(p.text, limit, a)
		room, missing = a.room, missing || a.missing
		at := -1
		if w.FromHTML && text != "" && tries > 0 {
			at = strings.Index(w.Text[from:], text)
		}
		if at < 0 {
			tries--
			other = append(other, a.all...)
			continue
		}
		for _, l := range a.all {
			if l.At >= 0 {
				l.At += from + at
			}
			shown = append(shown, l)
		}
		from += at + len(text)
	}
	seen := make(map[string]bool, len(shown))
	for _, l := range shown {
		seen[l.Target] = true
	}
	w.Links = shown
	add := func(l Link) {
		if !seen[l.Target] {
			seen[l.Target], l.At = true, -1
			w.Links = append(w.Links, l)
		}
	}
	writtenURLs(w.Text, func(target string) { add(Link{Target: target, Spelt: true}) })
	for _, l := range other {
		add(l)
	}
	if len(w.Links) > maxLinks {
		w.Links, missing = w.Links[:maxLinks], true
	}
	return missing
}

// Numbered is Text with a number after the text of each link, as text browsers
// write it. The first of Links has number 1. An image has no text, so its link
// is only in the list.
func (w Whole) Numbered() string {
	var b strings.Builder
	done := 0
	for i, l := range w.Links {
		if l.At < done || l.At > len(w.Text) || l.At < len(w.Text) && !utf8.RuneStart(w.Text[l.At]) {
			continue
		}
		b.WriteString(w.Text[done:l.At])
		b.WriteString(" [" + strconv.Itoa(i+1) + "]")
		done = l.At
	}
	return b.String() + w.Text[done:]
}
