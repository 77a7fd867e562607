package cli

import (
	"fmt"
	"strings"

	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// limits says on one line what the provider counts, and what is slower or less
// than usual.
func (s accountStatus) limits() string {
	var all []string
	slow := 1.0
	for _, l := range s.Limits {
		slow = min(slow, float64(l.Pace))
		switch {
		case l.Kind == "bytes":
			all = append(all, fmt.Sprintf("%s of %s in 24 hours", format.Octets(l.Used), format.Octets(l.Allowed)))
		case l.Kind == "connections" && l.Learned != nil:
			all = append(all, fmt.Sprintf("the server takes %s, as far as is known",
				format.Plural(int64(*l.Learned), "connection", "connections")))
		}
	}
	if slow < 1 {
		all = append(all, fmt.Sprintf("slowed down to %.0f %%", slow*100))
	}
	if !s.Resumes.IsZero() {
		all = append(all, "resumes "+s.Resumes.Local().Format("15:04"))
	}
	if len(all) == 0 {
		return ""
	}
	return string(s.Provider) + ": " + strings.Join(all, ", ")
}

func (a *app) printStatus(v statusView) error {
	if len(v.Accounts) == 0 {
		a.noAccountYet()
	}
	for _, b := range v.blocks() {
		if b.account != "" {
			name := voice.Line(b.account)
			lines := a.title(b)
			lines[0] = a.voice.Strong(name) + strings.TrimPrefix(lines[0], name)
			if err := a.voice.Say("%s", strings.Join(lines, "\n")); err != nil {
				return err
			}
		}
		if err := a.pairs(b.lines); err != nil {
			return err
		}
	}
	return nil
}

// title is the first line of an account's block.
func (a *app) title(b block) []string { return a.voice.Wrap(voice.Line(b.account)+"  ", 4, b.state) }

// block is what status says of an account, or of the store when account is "".
type block struct {
	account, state string
	lines          [][2]string
}

func (v statusView) blocks() (all []block) {
	for _, s := range v.Accounts {
		all = append(all, block{s.Account, s.words, s.lines()})
	}
	size := format.Plural(v.Emails, "message", "messages") + ", " + format.Octets(v.RawBytes) + " of mail, " +
		format.Octets(v.FileBytes) + " on disk"
	lines := [][2]string{{"Store", v.Store}, {"Size", size}}
	if v.Rests != "" {
		lines = append(lines, [2]string{"Disk", string(v.Rests)})
	}
	if n := v.Unindexed - v.reindexing; n > 0 {
		lines = append(lines, [2]string{"Search", format.Count(n) + " not searchable yet"})
	}
	if v.reindexing > 0 {
		lines = append(lines, [2]string{"Search", "a new index is being made, " +
			format.Count(v.reindexing) + " to go"})
	}
	if v.Outdated > 0 {
		lines = append(lines, [2]string{"Reading", format.Plural(v.Outdated, "message is", "messages are") +
			" to be read again by this version; sync and run do it"})
	}
	if v.PID != nil {
		running := fmt.Sprintf("%s, process %d", v.Owner, *v.PID) + after(": ", string(v.AgentError))
		lines = append(lines, [2]string{"Running", running})
	}
	return append(all, block{lines: append(lines, [2]string{"Page", string(v.URL)})})
}

// firstOf shows the first of some mailboxes and says where the others are shown.
func (s accountStatus) firstOf(notes []boxNote) string {
	if len(notes) == 0 {
		return ""
	}
	text := voice.Line(notes[0].Mailbox) + ": " + voice.Line(notes[0].Note)
	if more := len(notes) - 1; more > 0 {
		text += fmt.Sprintf("; %d more: mailcote mailbox list %s", more, view.ShellWord(s.Account))
	}
	return text
}

func (s accountStatus) lines() [][2]string {
	mail := fmt.Sprintf("%s of %s in %s", format.Count(s.Messages), format.Plural(s.Remote, "message", "messages"),
		format.Plural(int64(s.Mailboxes), "mailbox", "mailboxes"))
	lines := [][2]string{{"  Mail", mail}, {"  Last success", moment(s.LastSuccess)}}
	var trouble []string
	if s.Quarantined > 0 {
		trouble = append(trouble, format.Count(int64(s.Quarantined))+" quarantined: mailcote errors quarantine")
	}
	if s.Errors > 0 {
		trouble = append(trouble, format.Plural(int64(s.Errors), "error", "errors")+" in 24 hours")
	}
	if s.Unfinished > 0 {
		trouble = append(trouble, format.Plural(int64(s.Unfinished), "task", "tasks")+" to do")
	}
	lines = append(lines, [2]string{"  Note", strings.Join(trouble, ", ")})
	for _, notes := range [][]boxNote{s.NotReadable, s.NotSynced, s.Differs} {
		lines = append(lines, [2]string{"  Mailbox", s.firstOf(notes)})
	}
	if !s.NextTry.IsZero() {
		lines = append(lines, [2]string{"  Next try", format.Moment(s.NextTry.Time)})
	}
	for _, h := range s.Holds {
		lines = append(lines, [2]string{"  Trouble", h.String()})
	}
	lines = append(lines, [2]string{"  Limits", s.limits()})
	return append(lines, [2]string{"  Next step", string(s.NextStep)})
}
