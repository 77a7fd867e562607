package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine/connpool"
	"mailcote/storage"
	"mailcote/storage/owner"
	"mailcote/ui/agent"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
	"mailcote/ui/web"
)

// statusView is `status --json`.
type statusView struct {
	Type        string          `json:"type"` // status
	Store       string          `json:"store"`
	URL         string          `json:"url,omitempty"` // of the page, while an agent runs
	PID         int             `json:"pid,omitempty"` // of the store's owner
	Owner       string          `json:"owner,omitempty"`
	AgentError  string          `json:"agent_error,omitempty"` // why the agent that runs could not be asked
	Accounts    []accountStatus `json:"accounts"`
	Emails      int64           `json:"emails"`
	RawBytes    int64           `json:"raw_bytes"`
	StoredBytes int64           `json:"stored_bytes"`    // the bodies in the store, compressed
	FileBytes   int64           `json:"file_bytes"`      // of the store and its log
	Unindexed   int64           `json:"unindexed"`       // emails that search does not find yet
	Outdated    int64           `json:"outdated_views"`  // messages that an older version has read
	Rests       string          `json:"rests,omitempty"` // why no mail can be stored now: a full disk, a log kept long
}

// accountStatus is one account's part.
type accountStatus struct {
	Account string     `json:"account"`
	State   view.State `json:"state"` // docs/states.md
	standing
	Mailboxes   int        `json:"mailboxes"`
	Messages    int64      `json:"messages"`
	Remote      int64      `json:"remote_messages"`
	LastSuccess *time.Time `json:"last_success_at,omitempty"`
	Quarantined int        `json:"quarantined"`
	Errors      int        `json:"errors_24h"`
	Unfinished  int        `json:"unfinished_tasks"`
	NextTry     *time.Time `json:"next_try_at,omitempty"`
	NextStep    string     `json:"next_step,omitempty"`
	NotReadable []boxNote  `json:"not_readable,omitempty"` // mailboxes that the server does not let the account read
	NotSynced   []boxNote  `json:"not_synced,omitempty"`   // mailboxes that are left out
	Differs     []boxNote  `json:"differing,omitempty"`    // mailboxes whose count never is what the server lists
	Provider    string     `json:"provider,omitempty"`     // whose limits apply
	Limits      []limitUse `json:"limits,omitempty"`
	Resumes     *time.Time `json:"resumes_at,omitempty"` // the account rests until then

	Connections *connpool.Figures `json:"connections,omitempty"` // while an agent runs
	Holds       []holdView        `json:"holds,omitempty"`       // what fails, and until when it is not tried
}

// boxNote is what is special about a mailbox.
type boxNote struct {
	Mailbox string `json:"mailbox"`
	Note    string `json:"note"`
}

// standing is the state of an account in JSON.
type standing struct {
	UpToDate bool       `json:"up_to_date"`
	Cause    string     `json:"cause,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	AsOf     *time.Time `json:"as_of,omitempty"` // no agent answers: this is the state at that time
	words    string
}

func viewStanding(s view.Standing) standing {
	return standing{s.UpToDate(), s.Cause, some(s.Until.UTC()), some(s.AsOf.UTC()), s.String()}
}

// limitUse is one row of the view rate_limits.
type limitUse struct {
	Kind         string     `json:"kind"` // connections, commands, messages, bytes
	Used         int64      `json:"used"`
	Allowed      int64      `json:"allowed"`
	Window       int64      `json:"window_seconds"`
	Pace         float64    `json:"pace"`
	Learned      int        `json:"learned,omitempty"`
	LearnedUntil *time.Time `json:"learned_until,omitempty"`
}

func (a *app) status() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "status", Short: "Show where every account stands", Args: exactly(0, ""),
		Long: `Show where every account stands: docs/states.md says what the states mean. With
--watch it is shown again whenever it changes, until Ctrl-C; with --json that
is one line for each change.`,
		Example: "  mailcote status\n  mailcote status --json\n  mailcote status --watch",
		RunE: func(c *cobra.Command, _ []string) error {
			if watch {
				return a.watchStatus(c.Context(), lookEvery)
			}
			v, err := a.viewStatus(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.voice.JSON(v)
			}
			return a.printStatus(v)
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "show it again whenever it changes")
	return c
}

func (a *app) viewStatus(ctx context.Context) (v statusView, err error) {
	err = a.reading(ctx, func(s *storage.Store) error {
		v, err = lookAt(ctx, s)
		return err
	})
	if a.fresh(err) {
		v = statusView{Type: "status", Accounts: []accountStatus{}}
		v.Store, _, err = a.storePath()
	}
	return v, err
}

// lookAt gives the status of a store and of the agent that keeps it.
func lookAt(ctx context.Context, s *storage.Store) (statusView, error) {
	v := statusView{Type: "status", Store: s.Path(), Accounts: []accountStatus{}, FileBytes: sizeOf(s.Path())}
	around, failed := lookAround(ctx, s)
	v.Rests = around.NoRoom
	if failed != nil {
		v.AgentError = failed.Error()
	}
	if holder, held := owner.Holder(s.Path()); held {
		v.PID, v.Owner = holder.PID, holder.Command
	}
	if running, ok := agent.Running(stateDir(s.Path()), s.Path()); ok {
		v.URL = running.URL
	}
	return v, s.Read(ctx, func(r *storage.Reader) error {
		accounts, err := view.Accounts(r, around)
		for _, one := range accounts {
			v.Accounts = append(v.Accounts, viewAccountStatus(one))
		}
		if err != nil {
			return err
		}
		counts, err := r.Count()
		v.Emails, v.RawBytes = counts.Emails, counts.RawBytes
		v.StoredBytes, v.Unindexed = counts.StoredBytes, counts.Unindexed
		v.Outdated = counts.OutdatedViews
		return err
	})
}

// sizeOf is the size of a store and its log on disk.
func sizeOf(path string) (n int64) {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// readWithAccounts runs fn on one snapshot of the store, with where its accounts stand.
func (a *app) readWithAccounts(ctx context.Context, fn func(*storage.Reader, []view.Account) error) error {
	return a.reading(ctx, func(s *storage.Store) error {
		around, failed := lookAround(ctx, s)
		if failed != nil {
			a.voice.Warn("%s", voice.Line(failed.Error()))
		}
		return s.Read(ctx, func(r *storage.Reader) error {
			accounts, err := view.Accounts(r, around)
			if err != nil {
				return err
			}
			return fn(r, accounts)
		})
	})
}

// lookAround gathers what a reader can know of the processes around a store.
// failed says why an agent that runs could not be asked.
func lookAround(ctx context.Context, s *storage.Store) (around view.Around, failed error) {
	if p, rests := s.Pause(); rests {
		around.NoRoom = p.String() + "; resumes by itself"
	}
	_, around.Owned = owner.Holder(s.Path())
	now, err := askAgent(ctx, s.Path())
	switch {
	case err == nil:
		around.Interval = now.Interval
		for _, p := range now.Accounts {
			if p.Live != nil {
				around.Live = append(around.Live, *p.Live)
			}
		}
	case !errors.Is(err, errNoAgent):
		// An agent that has ended meanwhile is not a silent one.
		if _, around.Silent = agent.Running(stateDir(s.Path()), s.Path()); around.Silent {
			failed = err
		}
	}
	around.Now = time.Now()
	return around, failed
}

func askAgent(ctx context.Context, store string) (p web.Progress, err error) {
	running, ok := agent.Running(stateDir(store), store)
	if !ok {
		return p, errNoAgent
	}
	token, err := agent.Token(stateDir(store), store)
	if err != nil {
		return p, err
	}
	return running.Ask(ctx, token)
}

func viewAccountStatus(a view.Account) accountStatus {
	s := accountStatus{Account: a.Name, State: a.Standing.State, standing: viewStanding(a.Standing),
		Mailboxes: len(a.Mailboxes), Messages: a.Stored, Remote: a.Remote, LastSuccess: some(a.LastSuccess),
		Quarantined: a.Quarantined, Errors: a.Errors, Unfinished: a.Unfinished, NextTry: some(a.NextTry),
		NextStep: a.NextStep, Resumes: some(a.Resumes()), Holds: viewHolds(a.Holds)}
	if a.Standing.State == view.Paused {
		s.NextStep = joined(a.Standing.Cause, a.NextStep)
	}
	for _, m := range a.Mailboxes {
		note := boxNote{m.Path, m.Note()}
		switch {
		case m.LeftOut:
			s.NotSynced = append(s.NotSynced, note)
		case m.Refused != "":
			s.NotReadable = append(s.NotReadable, note)
		case m.Excess != 0:
			s.Differs = append(s.Differs, note)
		}
	}
	for _, u := range a.Limits {
		s.Provider = u.Provider
		s.Limits = append(s.Limits, limitUse{Kind: u.Kind, Used: u.Used, Allowed: u.Allowed,
			Window: int64(u.Window / time.Second), Pace: u.Pace,
			Learned: u.Learned, LearnedUntil: some(u.LearnedUntil)})
	}
	if a.Live != nil {
		s.Connections = &a.Live.Connections
	}
	return s
}

// limits says on one line what the provider counts, and what is slower or less
// than usual.
func (s accountStatus) limits() string {
	var all []string
	slow := 1.0
	for _, l := range s.Limits {
		slow = min(slow, l.Pace)
		switch {
		case l.Kind == "bytes":
			all = append(all, fmt.Sprintf("%s of %s in 24 hours", format.Octets(l.Used), format.Octets(l.Allowed)))
		case l.Kind == "connections" && l.Learned > 0:
			all = append(all, fmt.Sprintf("the server takes %s, as far as is known",
				format.Plural(int64(l.Learned), "connection", "connections")))
		}
	}
	if slow < 1 {
		all = append(all, fmt.Sprintf("slowed down to %.0f %%", slow*100))
	}
	if s.Resumes != nil {
		all = append(all, "resumes "+s.Resumes.Local().Format("15:04"))
	}
	if len(all) == 0 {
		return ""
	}
	return s.Provider + ": " + strings.Join(all, ", ")
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
		lines = append(lines, [2]string{"Disk", v.Rests})
	}
	if v.Unindexed > 0 {
		lines = append(lines, [2]string{"Search", format.Count(v.Unindexed) + " not searchable yet"})
	}
	if v.Outdated > 0 {
		lines = append(lines, [2]string{"Reading", format.Plural(v.Outdated, "message is", "messages are") +
			" to be read again by this version; sync and run do it"})
	}
	if v.Owner != "" {
		running := fmt.Sprintf("%s, process %d", v.Owner, v.PID) + after(": ", v.AgentError)
		lines = append(lines, [2]string{"Running", running})
	}
	return append(all, block{lines: append(lines, [2]string{"Page", v.URL})})
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
	if s.NextTry != nil {
		lines = append(lines, [2]string{"  Next try", format.Moment(*s.NextTry)})
	}
	for _, h := range s.Holds {
		lines = append(lines, [2]string{"  Trouble", h.String()})
	}
	lines = append(lines, [2]string{"  Limits", s.limits()})
	return append(lines, [2]string{"  Next step", s.NextStep})
}
