package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mailcote/engine/connpool"
	"mailcote/storage"
	"mailcote/storage/owner"
	"mailcote/ui/agent"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
	"mailcote/ui/web"
)

// statusView is `status --json`.
type statusView struct {
	Type        string          `json:"type"`           // always "status"
	Store       string          `json:"store"`          // its file
	URL         answer.Text     `json:"url"`            // of the page; null: no agent runs
	PID         *int            `json:"pid"`            // of the store's owner; null: it has none
	Owner       answer.Text     `json:"owner"`          // what the owner runs; null: there is none
	AgentError  answer.Text     `json:"agent_error"`    // why the agent that runs could not be asked
	Accounts    []accountStatus `json:"accounts"`       // every account
	Emails      int64           `json:"emails"`         // messages, each once
	RawBytes    int64           `json:"raw_bytes"`      // of mail, as the servers sent it
	StoredBytes int64           `json:"stored_bytes"`   // of mail in the store, compressed
	FileBytes   int64           `json:"file_bytes"`     // of the store and its log
	Unindexed   int64           `json:"unindexed"`      // emails that search, or its new index, does not find yet
	Reparsed    int64           `json:"reparsed"`       // times that mail was read and parsed again to be indexed
	Outdated    int64           `json:"outdated_views"` // messages that an older version has read
	Rests       answer.Text     `json:"rests"`          // why no mail can be stored now: a full disk, a log kept long

	reindexing int64 // of Unindexed: found by the index that a new one will replace
}

// accountStatus is one account's part.
type accountStatus struct {
	Type    string     `json:"type"`    // always "account_status"
	Account string     `json:"account"` // its name
	State   view.State `json:"state"`   // docs/states.md
	standing
	Mailboxes   int         `json:"mailboxes"`        // how many are known
	Messages    int64       `json:"messages"`         // how many are here
	Remote      int64       `json:"remote_messages"`  // how many the server says it has
	LastSuccess answer.Time `json:"last_success_at"`  // the end of the last complete pass; null: there was none
	Quarantined int         `json:"quarantined"`      // messages that the server does not deliver
	Errors      int         `json:"errors_24h"`       // faults of the last 24 hours
	Unfinished  int         `json:"unfinished_tasks"` // what is left to do
	NextTry     answer.Time `json:"next_try_at"`      // null: nothing waits
	NextStep    answer.Text `json:"next_step"`        // what a person can do
	NotReadable []boxNote   `json:"not_readable"`     // mailboxes that the server does not let the account read
	NotSynced   []boxNote   `json:"not_synced"`       // mailboxes that are left out
	Differs     []boxNote   `json:"differing"`        // mailboxes whose count never is what the server lists
	Provider    answer.Text `json:"provider"`         // whose limits apply
	Limits      []limitUse  `json:"limits"`           // what the provider counts
	Resumes     answer.Time `json:"resumes_at"`       // the account rests until then; null: it does not

	Connections *connectionsView `json:"connections"` // null: no agent runs
	Holds       []holdView       `json:"holds"`       // what fails, and until when it is not tried
}

// boxNote is what is special about a mailbox.
type boxNote struct {
	Type    string `json:"type"`    // always "mailbox_note"
	Mailbox string `json:"mailbox"` // its name
	Note    string `json:"note"`    // in words
}

// connectionsView is connpool.Figures in JSON.
type connectionsView struct {
	Type    string      `json:"type"`        // always "connections"
	Open    int         `json:"open"`        // connections now, with those being opened
	InUse   int         `json:"in_use"`      // of them, those that work
	Waiting int         `json:"waiting"`     // how much work waits for one
	Allowed int         `json:"allowed"`     // how many there may be
	Dialled int64       `json:"dialled"`     // since the agent's start
	Refused int64       `json:"refused"`     // of those, the ones that failed, also at the sign-in
	Dead    int64       `json:"proven_dead"` // idle ones that did not answer, or were open during a sleep
	Short   answer.Time `json:"short_since"` // since when work waits and has none; null: it does not
}

func viewConnections(f connpool.Figures) *connectionsView {
	return &connectionsView{"connections", f.Open, f.InUse, f.Waiting, f.Allowed, f.Dialled, f.Refused, f.Dead,
		answer.At(f.Short)}
}

// standing is the state of an account in JSON.
type standing struct {
	UpToDate bool        `json:"up_to_date"` // all mail is here, and an agent keeps it so
	Cause    answer.Text `json:"cause"`      // of the state, in words
	Until    answer.Time `json:"until"`      // the next try; null: none is due
	AsOf     answer.Time `json:"as_of"`      // no agent answers: the state is that of this time; null: it is current
	words    string
}

func viewStanding(s view.Standing) standing {
	return standing{s.UpToDate(), answer.Text(s.Cause), answer.At(s.Until), answer.At(s.AsOf), s.String()}
}

// limitUse is one row of the view rate_limits.
type limitUse struct {
	Type         string        `json:"type"`           // always "limit"
	Kind         string        `json:"kind"`           // connections, commands, messages or bytes
	Used         int64         `json:"used"`           // in the window
	Allowed      int64         `json:"allowed"`        // in the window
	Window       int64         `json:"window_seconds"` // what is counted together; 0: what is there at once
	Pace         answer.Number `json:"pace"`           // 1: as fast as is allowed; less: slowed down
	Learned      *int          `json:"learned"`        // what a refusal of the server has taught; null: nothing
	LearnedUntil answer.Time   `json:"learned_until"`  // for how long that counts
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
	v.Rests = answer.Text(around.NoRoom)
	if failed != nil {
		v.AgentError = answer.Text(failed.Error())
	}
	if holder, held := owner.Holder(s.Path()); held {
		v.PID, v.Owner = answer.Some(holder.PID), answer.Text(holder.Command)
	}
	if running, ok := agent.Running(stateDir(s.Path()), s.Path()); ok {
		v.URL = answer.Text(running.URL)
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
		v.StoredBytes, v.Unindexed = counts.StoredBytes, counts.Unindexed+counts.Reindexing
		v.Reparsed = counts.Reparsed
		v.Outdated, v.reindexing = counts.OutdatedViews, counts.Reindexing
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
	s := accountStatus{Type: "account_status", Account: a.Name, State: a.Standing.State,
		standing: viewStanding(a.Standing), Mailboxes: len(a.Mailboxes), Messages: a.Stored, Remote: a.Remote,
		LastSuccess: answer.At(a.LastSuccess), Quarantined: a.Quarantined, Errors: a.Errors,
		Unfinished: a.Unfinished, NextTry: answer.At(a.NextTry), NextStep: answer.Text(a.NextStep),
		Resumes: answer.At(a.Resumes()), Holds: viewHolds(a.Holds), NotReadable: []boxNote{},
		NotSynced: []boxNote{}, Differs: []boxNote{}, Limits: []limitUse{}}
	if a.Standing.State == view.Paused {
		s.NextStep = answer.Text(joined(a.Standing.Cause, a.NextStep))
	}
	for _, m := range a.Mailboxes {
		note := boxNote{"mailbox_note", m.Path, m.Note()}
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
		s.Provider = answer.Text(u.Provider)
		s.Limits = append(s.Limits, limitUse{Type: "limit", Kind: u.Kind, Used: u.Used, Allowed: u.Allowed,
			Window: int64(u.Window / time.Second), Pace: answer.Number(u.Pace), Learned: answer.Some(u.Learned),
			LearnedUntil: answer.At(u.LearnedUntil)})
	}
	if a.Live != nil {
		s.Connections = viewConnections(a.Live.Connections)
	}
	return s
}
