package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine/line"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/owner"
	"mailcote/storage/rate"
	"mailcote/ui/agent"
	"mailcote/ui/cli/voice"
)

// statusView is `status --json`.
type statusView struct {
	Type        string          `json:"type"` // status
	Store       string          `json:"store"`
	URL         string          `json:"url,omitempty"` // of the page, while an agent runs
	PID         int             `json:"pid,omitempty"` // of the store's owner
	Owner       string          `json:"owner,omitempty"`
	Accounts    []accountStatus `json:"accounts"`
	Emails      int64           `json:"emails"`
	RawBytes    int64           `json:"raw_bytes"`
	StoredBytes int64           `json:"stored_bytes"`
	Unindexed   int64           `json:"unindexed"`       // emails that search does not find yet
	Rests       string          `json:"rests,omitempty"` // why no mail can be stored now: a full disk, a log kept long
}

// accountStatus is one account's part.
type accountStatus struct {
	Account     string     `json:"account"`
	State       string     `json:"state"` // new, syncing, waiting, offline, paused, partial, failed, ok
	Mailboxes   int        `json:"mailboxes"`
	Messages    int64      `json:"messages"`
	Remote      int64      `json:"remote_messages"`
	LastSuccess *time.Time `json:"last_success_at,omitempty"`
	Quarantined int        `json:"quarantined"`
	Errors      int        `json:"errors_24h"`
	Unfinished  int        `json:"unfinished_tasks"`
	NextTry     *time.Time `json:"next_try_at,omitempty"`
	NextStep    string     `json:"next_step,omitempty"`
	Provider    string     `json:"provider,omitempty"` // whose limits hold
	Limits      []limitUse `json:"limits,omitempty"`
	Resumes     *time.Time `json:"resumes_at,omitempty"` // the account rests until then

	Connections *line.Figures `json:"connections,omitempty"` // while an agent runs
	id          storage.AccountID
	Holds       []holdView `json:"holds,omitempty"` // what it fails at, and until when nothing is tried
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
	return &cobra.Command{
		Use: "status", Short: "Show where every account stands", Args: exactly(0, ""),
		Example: "  mailcote status\n  mailcote status --json",
		RunE: func(c *cobra.Command, _ []string) error {
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
}

func (a *app) viewStatus(ctx context.Context) (statusView, error) {
	v := statusView{Type: "status", Accounts: []accountStatus{}}
	err := a.reading(ctx, func(s *storage.Store) error {
		v.Store = s.Path()
		if p, rests := s.Pause(); rests {
			v.Rests = p.String() + "; resumes by itself"
		}
		holder, held := owner.Holder(s.Path())
		if held {
			v.PID, v.Owner = holder.PID, holder.Command
		}
		if running, ok := agent.Running(stateDir(s.Path()), s.Path()); ok {
			v.URL = running.URL
		}
		if err := s.Read(ctx, func(r *storage.Reader) error { return v.fill(r, held) }); err != nil {
			return err
		}
		v.connections(ctx, s.Path())
		return nil
	})
	return v, err
}

// connections adds what only a running agent knows. One that does not answer is no reason not to show the rest.
func (v *statusView) connections(ctx context.Context, store string) {
	running, ok := agent.Running(stateDir(store), store)
	if !ok {
		return
	}
	token, err := agent.Token(stateDir(store), store)
	if err != nil {
		return
	}
	now, err := running.Ask(ctx, token)
	if err != nil {
		return
	}
	for _, p := range now.Accounts {
		for i := range v.Accounts {
			if int64(v.Accounts[i].id) == p.ID {
				v.Accounts[i].Connections = p.Connections
			}
		}
	}
}

func (v *statusView) fill(r *storage.Reader, held bool) error {
	accounts, err := r.Accounts()
	if err != nil {
		return err
	}
	const many = 10_000
	faults, err := r.Faults(time.Now().Add(-24*time.Hour), many)
	if err != nil {
		return err
	}
	for _, one := range accounts {
		s, err := viewAccountStatus(r, one, held)
		if err != nil {
			return fmt.Errorf("account %s: %w", one.Name, err)
		}
		for _, f := range faults {
			if f.Account == one.ID {
				s.Errors++
			}
		}
		v.Accounts = append(v.Accounts, s)
	}
	counts, err := r.Count()
	v.Emails, v.RawBytes, v.StoredBytes, v.Unindexed = counts.Emails, counts.RawBytes, counts.StoredBytes, counts.Unindexed
	return err
}

func viewAccountStatus(r *storage.Reader, a storage.Account, held bool) (accountStatus, error) {
	s := accountStatus{id: a.ID, Account: a.Name, LastSuccess: some(a.LastSuccess)}
	boxes, err := r.Mailboxes(a.ID)
	if err != nil {
		return s, err
	}
	for _, b := range boxes {
		s.Mailboxes++
		s.Messages += b.Total
		s.Remote += b.RemoteTotal
	}
	quarantined, err := r.QuarantineOf(a.ID)
	if err != nil {
		return s, err
	}
	s.Quarantined = len(quarantined)
	if s.Unfinished, err = queue.Unfinished(r, a.ID); err != nil {
		return s, err
	}
	next, due, err := queue.Due(r, a.ID)
	if err != nil {
		return s, err
	}
	if due && next.After(time.Now()) {
		s.NextTry = some(next.UTC())
	}
	if err := s.fillLimits(r); err != nil {
		return s, err
	}
	if s.Holds, err = viewHolds(r, a); err != nil {
		return s, err
	}
	for _, h := range s.Holds {
		if s.NextTry == nil && h.Until.After(time.Now()) || s.NextTry != nil && h.Until.After(*s.NextTry) {
			s.NextTry = some(h.Until)
		}
	}
	last, err := lastRun(r, a.Name)
	if err != nil {
		return s, err
	}
	s.State = stateOf(a, s, last, held)
	switch {
	case a.Paused:
		s.NextStep = pausedStep(a)
	case s.State == "failed", s.State == "partial":
		s.NextStep = "mailcote errors says why"
	case s.State == "new" && !held, s.Unfinished > 0 && !held:
		s.NextStep = "mailcote sync " + shellWord(a.Name)
	}
	return s, nil
}

// fillLimits reads what the account uses of its provider's limits.
func (s *accountStatus) fillLimits(r *storage.Reader) error {
	uses, err := rate.Uses(r, s.Account)
	for _, u := range uses {
		s.Provider, s.Resumes = u.Provider, some(u.Resumes)
		s.Limits = append(s.Limits, limitUse{Kind: u.Kind, Used: u.Used, Allowed: u.Allowed, Window: int64(u.Window / time.Second), Pace: u.Pace,
			Learned: u.Learned, LearnedUntil: some(u.LearnedUntil)})
	}
	return err
}

// limits puts what is worth knowing of the limits into a line: what is counted, and what is slower or less than usual.
func (s accountStatus) limits() string {
	var all []string
	slow := 1.0
	for _, l := range s.Limits {
		slow = min(slow, l.Pace)
		switch {
		case l.Kind == "bytes":
			all = append(all, fmt.Sprintf("%s of %s in 24 hours", voice.Octets(l.Used), voice.Octets(l.Allowed)))
		case l.Kind == "connections" && l.Learned > 0:
			all = append(all, fmt.Sprintf("the server takes %s, as far as is known", voice.Plural(int64(l.Learned), "connection", "connections")))
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

// runEnd is how an account's last pass ended; the zero runEnd: there was none.
type runEnd struct {
	any, open bool
	result    string
}

func lastRun(r *storage.Reader, account string) (runEnd, error) {
	var end runEnd
	rows, err := r.Query(`SELECT ended_at IS NULL, coalesce(result, '') FROM sync_runs WHERE account = ? ORDER BY id DESC LIMIT 1`, account)
	if err != nil {
		return end, fmt.Errorf("last run: %w", err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err has what matters
	if rows.Next() {
		end.any = true
		if err := rows.Scan(&end.open, &end.result); err != nil {
			return end, fmt.Errorf("last run: %w", err)
		}
	}
	return end, rows.Err()
}

// stateOf puts what the store says of an account into one word.
func stateOf(a storage.Account, s accountStatus, last runEnd, held bool) string {
	switch {
	case a.Paused:
		return "paused"
	case s.NextTry != nil && slices.ContainsFunc(s.Holds, func(h holdView) bool { return h.Offline && h.Until.After(time.Now()) }):
		return "offline"
	case s.NextTry != nil, s.Resumes != nil:
		return "waiting"
	case held && last.any && last.open:
		return "syncing"
	case !last.any:
		return "new"
	case last.open:
		return "interrupted"
	case last.result == "complete":
		return "ok"
	}
	return last.result
}

func (a *app) printStatus(v statusView) error {
	if len(v.Accounts) == 0 {
		a.voice.Note("No account yet: mailcote account add imaps://you@example.org")
	}
	for _, s := range v.Accounts {
		if err := a.voice.Say("%s  %s", a.voice.Strong(voice.Line(s.Account)), voice.Line(s.State)); err != nil {
			return err
		}
		if err := a.pairs(s.lines()); err != nil {
			return err
		}
	}
	lines := [][2]string{{"Store", v.Store}, {"Size", voice.Plural(v.Emails, "message", "messages") + ", " + voice.Octets(v.RawBytes) + " of mail in " + voice.Octets(v.StoredBytes)}}
	if v.Rests != "" {
		lines = append(lines, [2]string{"Disk", v.Rests})
	}
	if v.Unindexed > 0 {
		lines = append(lines, [2]string{"Search", voice.Count(v.Unindexed) + " not searchable yet"})
	}
	if v.Owner != "" {
		lines = append(lines, [2]string{"Running", fmt.Sprintf("%s, process %d", v.Owner, v.PID)})
	}
	return a.pairs(append(lines, [2]string{"Page", v.URL}))
}

func (s accountStatus) lines() [][2]string {
	mail := fmt.Sprintf("%s of %s in %s", voice.Count(s.Messages), voice.Plural(s.Remote, "message", "messages"), voice.Plural(int64(s.Mailboxes), "mailbox", "mailboxes"))
	lines := [][2]string{{"  Mail", mail}, {"  Last success", moment(s.LastSuccess)}}
	var trouble []string
	if s.Quarantined > 0 {
		trouble = append(trouble, voice.Count(int64(s.Quarantined))+" quarantined: mailcote errors quarantine")
	}
	if s.Errors > 0 {
		trouble = append(trouble, voice.Plural(int64(s.Errors), "error", "errors")+" in 24 hours")
	}
	if s.Unfinished > 0 {
		trouble = append(trouble, voice.Plural(int64(s.Unfinished), "task", "tasks")+" to do")
	}
	lines = append(lines, [2]string{"  Note", strings.Join(trouble, ", ")})
	if s.NextTry != nil {
		lines = append(lines, [2]string{"  Next try", voice.Moment(*s.NextTry)})
	}
	for _, h := range s.Holds {
		lines = append(lines, [2]string{"  Trouble", h.String()})
	}
	lines = append(lines, [2]string{"  Limits", s.limits()})
	return append(lines, [2]string{"  Next step", s.NextStep})
}
