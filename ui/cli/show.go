package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine/message"
	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/save"
	"mailcote/ui/view"
)

// showFlags say what of a message is printed; without any, its headers and text.
type showFlags struct {
	raw, links, html bool
	part             string // IMAP part number
	save             string // directory
}

func (a *app) show() *cobra.Command {
	var f showFlags
	c := &cobra.Command{
		Use: "show ID", Short: "Print one message", Args: exactly(1, "ID"),
		Long: `Print one message: its headers, its text, its links and what is attached. IDs
are what search prints; the first characters will do, four at least, that no
other message has. A number in brackets after a word of the text is that of its
link. The number of an attachment is its IMAP part number.

--save gives attachments names that are safe, and a number when a file of that
name exists. With --part it saves that part.`,
		Example: `  mailcote show ID
  mailcote show ID --links
  mailcote show ID --save invoices
  mailcote show ID --part 2 > invoice.pdf
  mailcote show ID --raw > message.eml`,
		ValidArgsFunction: a.completeMessage(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.checkShow(c, f); err != nil {
				return err
			}
			id := storage.EmailID(args[0])
			err := a.reading(c.Context(), func(s *storage.Store) error { return a.showMessage(c.Context(), s, id, f) })
			switch {
			case errors.Is(err, view.ErrNoPart):
				return usagef("message %s has no part %s: mailcote show %s --json lists its parts", typed(args[0]),
					typed(f.part), args[0])
			case errors.Is(err, view.ErrNoBody):
				return &failure{Temporary, fmt.Errorf("%w: mailcote sync fetches it", err)}
			case errors.Is(err, storage.ErrNotFound):
				return noMessage(args[0])
			}
			return err
		},
	}
	c.Flags().BoolVar(&f.raw, "raw", false, "print the exact bytes, nothing escaped")
	c.Flags().BoolVar(&f.links, "links", false, "print its links, one a line: number, target, text")
	c.Flags().BoolVar(&f.html, "html", false, "print its HTML as the sender wrote it; with --json, add it")
	c.Flags().StringVar(&f.part, "part", "", "print the decoded bytes of part `N`")
	c.Flags().StringVar(&f.save, "save", "", "save its attachments into the directory `DIR`")
	return c
}

// noMessage says that no message has an id, or the first characters of one.
func noMessage(id string) error {
	if len(id) < storage.ShortestPrefix {
		return usagef("no message %s: type %d characters of its ID at least, mailcote search prints it", typed(id),
			storage.ShortestPrefix)
	}
	return usagef("no message %s: mailcote search prints the IDs", typed(id))
}

// checkShow refuses flags that do not go together, and bytes of a sender on a
// terminal, which would obey them.
func (a *app) checkShow(c *cobra.Command, f showFlags) error {
	part, saves := c.Flags().Changed("part"), c.Flags().Changed("save")
	asked := 0
	for _, one := range []bool{f.raw, f.links, f.html, part || saves} {
		if one {
			asked++
		}
	}
	terminal := a.voice.OutTTY && !a.json
	switch {
	case asked > 1:
		return usagef("--raw, --links, --html and --part or --save exclude each other: give one")
	case saves && f.save == "":
		return usagef("--save needs a directory: --save . is this one")
	case part && !isPartNumber(f.part):
		return usagef("--part %s is no part number: give one that mailcote show prints, such as 2 or 1.2",
			typed(f.part))
	case f.raw && a.json:
		return usagef("--raw and --json exclude each other: give one")
	case part && !saves && a.json:
		return usagef("--part and --json exclude each other: give one")
	case f.raw && terminal:
		return usagef("--raw prints bytes that a terminal would obey: write them to a file, mailcote show ID " +
			"--raw > message.eml")
	case f.html && terminal:
		return usagef("--html prints bytes that a terminal would obey: write them to a file, mailcote show ID " +
			"--html > message.html")
	case part && !saves && terminal:
		return usagef("--part prints bytes that a terminal would obey: write them to a file, or save it with --save " +
			"DIR")
	}
	return nil
}

// isPartNumber reports whether s is like 1 or 2.1 (RFC 9051 §6.4.5.1), or like
// 1.u2, the second uuencoded file in the text of part 1.
func isPartNumber(s string) bool {
	number, file, ok := strings.Cut(s, ".u")
	if ok {
		number += "." + file
	}
	for one := range strings.SplitSeq(number, ".") {
		if one == "" || one[0] == '0' || len(one) > 9 || strings.Trim(one, "0123456789") != "" {
			return false
		}
	}
	return true
}

func (a *app) showMessage(ctx context.Context, s *storage.Store, id storage.EmailID, f showFlags) error {
	switch {
	case f.raw:
		return view.Raw(ctx, s, id, a.voice.Out())
	case f.save != "":
		return a.saveParts(ctx, s, id, f)
	case f.part != "":
		part, err := view.OpenPart(ctx, s, id, f.part)
		if err != nil {
			return err
		}
		_, err = io.Copy(a.voice.Out(), part.Body)
		return errors.Join(err, part.Body.Close())
	}
	m, err := view.Read(ctx, s, id)
	if err != nil {
		return err
	}
	if !m.HasBody && (f.links || f.html && !a.json) {
		return fmt.Errorf("message %s: %w", id, view.ErrNoBody)
	}
	switch {
	case f.links:
		return a.printLinks(m.View.Links)
	case a.json:
		v, err := viewMessage(ctx, s, m.Copies[0].ID, m, f.html)
		if err != nil {
			return err
		}
		return a.voice.JSON(v)
	case f.html && m.View.HTML == "":
		return usagef("message %s has no HTML: mailcote show %s prints its text", typed(string(id)), id)
	case f.html:
		_, err := io.WriteString(a.voice.Out(), m.View.HTML)
		return err
	}
	return a.printMessage(m)
}

// printLinks prints a link a line. A target has no blanks, so that scripts can
// take it as the second word.
func (a *app) printLinks(all []message.Link) error {
	if a.json {
		return each(viewLinks(all), func(v any) error { return a.voice.JSON(v) })
	}
	for i, one := range all {
		line := fmt.Sprintf("%d\t%s\t%s", i+1, voice.Line(one.Target), voice.Line(one.Text))
		if err := a.voice.Say("%s", strings.TrimRight(line, "\t")); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		a.voice.Note("The message has no links.")
	}
	return nil
}

// saveParts saves the attachments, or one part, and says what it wrote.
func (a *app) saveParts(ctx context.Context, s *storage.Store, id storage.EmailID, f showFlags) (err error) {
	var dir *save.Dir
	defer func() {
		if dir != nil {
			err = errors.Join(err, dir.Close())
		}
	}()
	write := func(one message.Attachment, body io.Reader) (err error) {
		if dir == nil {
			if dir, err = save.Open(f.save); err != nil {
				return err
			}
		}
		path, size, err := dir.Save(save.Name(one.Name, one.Type, one.Path), body)
		if err != nil {
			return err
		}
		if a.json {
			return a.voice.JSON(fileView{"file", path, size, one.Path, one.Type, answer.Text(one.Name)})
		}
		return a.voice.Say("%s  %s", voice.Line(path), a.voice.Faint(format.Octets(size)))
	}
	if f.part != "" {
		part, err := view.OpenPart(ctx, s, id, f.part)
		if err != nil {
			return err
		}
		return errors.Join(write(part.Attachment, part.Body), part.Body.Close())
	}
	m, err := view.Attachments(ctx, s, id, write)
	if err != nil {
		return err
	}
	if dir == nil {
		a.voice.Note("The message has no attachments.")
	}
	if note := m.Note(); note != "" {
		a.voice.Warn("%s", voice.Line(note))
	}
	return nil
}

func (a *app) printMessage(m view.Message) error {
	v := m.View
	var places []string
	for _, one := range m.Copies {
		places = append(places, one.AccountName+" "+one.MailboxPath)
	}
	date := v.SentDate
	if date.IsZero() {
		date = m.Copies[0].Date
	}
	lines := [][2]string{{"From", addresses(v.From)}, {"Reply-To", addresses(v.ReplyTo)}, {"To", addresses(v.To)},
		{"Cc", addresses(v.Cc)},
		{"Date", date.Local().Format("Mon, 2 Jan 2006 15:04 -0700")}, {"Subject", v.Subject},
		{"In", strings.Join(places, ", ")},
		{"Flags", string(m.Copies[0].Flags)}, {"Note", m.Note()}}
	if err := a.pairs(lines); err != nil {
		return err
	}
	if err := a.voice.Say("\n%s", voice.Text(strings.TrimRight(v.Numbered(), "\n"))); err != nil {
		return err
	}
	if err := a.printTargets(v.Links); err != nil {
		return err
	}
	return a.printAttachments(v.Attachments)
}

// printTargets lists where the links lead, unless the text says it itself.
func (a *app) printTargets(all []message.Link) error {
	if !slices.ContainsFunc(all, func(l message.Link) bool { return !l.Spelt }) {
		return nil
	}
	for i, one := range all {
		lead := fmt.Sprintf("[%d] ", i+1)
		if i == 0 {
			lead = "\n" + lead
		}
		if one.At < 0 && one.Text != "" { // the text has no such number
			lead += voice.Line(one.Text) + ": "
		}
		if err := a.voice.Say("%s%s", lead, voice.Line(one.Target)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printAttachments(all []message.Attachment) error {
	for i, one := range all {
		lead := "Attachment " + one.Path
		if i == 0 {
			lead = "\n" + lead
		}
		name := one.Name
		if name == "" {
			name = "(no name)"
		}
		if err := a.voice.Say("%s: %s  %s", lead, voice.Line(name),
			a.voice.Faint(voice.Line(one.Type)+", "+format.Octets(one.Size))); err != nil {
			return err
		}
	}
	return nil
}

func addresses(all []message.Address) string {
	var out []string
	for _, one := range all {
		if one.Name == "" {
			out = append(out, one.Email)
		} else {
			out = append(out, one.Name+" <"+one.Email+">")
		}
	}
	return strings.Join(out, ", ")
}
