package cli

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
)

// stateView is an event: an account's state changed.
type stateView struct {
	Type     string      `json:"type"`       // always "state"
	At       answer.Time `json:"at"`         // when it was seen
	Account  string      `json:"account"`    // its name
	State    view.State  `json:"state"`      // docs/states.md
	UpToDate bool        `json:"up_to_date"` // all mail is here
	Cause    answer.Text `json:"cause"`      // of the state, in words
	Until    answer.Time `json:"until"`      // the next try; null: none is due
	NextStep answer.Text `json:"next_step"`  // what a person can do
}

// same reports whether an account stands where it stood. What it counts while
// it syncs is no news.
func (v stateView) same(before stateView) bool {
	v.At = before.At
	if v.State == view.Syncing && before.State == view.Syncing {
		v.Cause = before.Cause
	}
	return v == before
}

// passView is an event: a pass over an account ended.
type passView struct {
	Type      string        `json:"type"`      // always "pass"
	At        answer.Time   `json:"at"`        // when it ended
	Account   string        `json:"account"`   // its name
	Result    string        `json:"result"`    // complete, partial or failed
	New       int64         `json:"new"`       // messages that came
	Gone      int64         `json:"gone"`      // messages that the server no longer has
	Flags     int64         `json:"flags"`     // messages whose flags changed
	Bytes     int64         `json:"bytes"`     // of the new messages
	Mailboxes int           `json:"mailboxes"` // how many are synced
	Seconds   answer.Number `json:"seconds"`   // that it took
	Detail    answer.Text   `json:"detail"`    // why it is not complete
}

func viewPass(s engine.Summary) passView {
	return passView{"pass", answer.At(time.Now()), s.Account, s.Result, s.Fetched, s.Gone, s.Flags, s.Bytes,
		s.Mailboxes, answer.Number(s.Seconds), answer.Text(s.Detail)}
}

// mailView is an event: a message arrived.
type mailView struct {
	Type string `json:"type"` // always "mail"
	shownMail
}

func viewMail(m storage.Mail) mailView { return mailView{"mail", showMail(m)} }

const (
	tellEvery = 100 * time.Millisecond // between two looks, at least
	tellMost  = 1000                   // errors or messages of one look, and passes that wait
)

// events prints what happens while an agent runs. A program that does not read
// what is printed holds up nothing but the events.
type events struct {
	app    *app
	store  *storage.Store
	source *view.Source
	mail   bool

	// of the goroutine that prints
	states  map[string]stateView // as last printed
	fault   int64                // the last that was printed
	faultAt time.Time            // when that was
	email   storage.EmailRow     // the last that was printed

	mu     sync.Mutex
	passes []passView // that are not printed yet
}

// tell prints events until end is called. Passes are told by the engine. What
// else happens is looked for whenever the store or the engine's progress
// changes.
func (a *app) tell(ctx context.Context, s *storage.Store, e *engine.Engine, source *view.Source,
	mail bool) (end func() error, err error) {
	v := &events{app: a, store: s, source: source, mail: mail, states: map[string]stateView{}, faultAt: time.Now()}
	if err := s.Read(ctx, v.begin); err != nil {
		return nil, err
	}
	e.OnPass(v.passed)
	watching, cancel := context.WithCancel(ctx)
	watch := source.Watch()
	told := make(chan error, 1)
	go func() {
		defer watch.Close()
		told <- v.follow(watching, watch)
	}()
	return func() error {
		cancel()
		if err := <-told; err != nil {
			return err
		}
		return v.look(context.WithoutCancel(ctx)) // the last pass
	}, nil
}

// passed holds a pass until it is printed. Of those that nobody reads, the last
// tellMost are kept.
func (v *events) passed(s engine.Summary) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.passes) == tellMost {
		v.passes = slices.Delete(v.passes, 0, 1)
	}
	v.passes = append(v.passes, viewPass(s))
}

// follow looks at each change until ctx ends.
func (v *events) follow(ctx context.Context, watch view.Watch) error {
	for {
		if err := v.look(ctx); err != nil {
			return err
		}
		if _, err := watch.Wait(ctx); err != nil || wait(ctx, tellEvery, nil) != nil {
			return nil
		}
	}
}

// begin notes what is no event: what happened before.
func (v *events) begin(r *storage.Reader) error {
	faults, err := r.Faults(time.Time{}, 1)
	for _, f := range faults {
		v.fault, v.faultAt = f.ID, f.At
	}
	if err == nil {
		v.email, err = r.LastEmail()
	}
	return err
}

// look prints what happened since the last look, a pass after what it brought.
// Its error is that of writing. A store that cannot be read now is looked at
// again later.
func (v *events) look(ctx context.Context) error {
	v.mu.Lock()
	passes := v.passes
	v.passes = nil
	v.mu.Unlock()
	var faults []storage.Fault
	var mail []storage.Mail
	o, err := v.source.Overview(ctx)
	if err == nil {
		err = v.store.Read(ctx, func(r *storage.Reader) (err error) {
			if faults, err = r.Faults(v.faultAt, tellMost); err == nil && v.mail {
				mail, err = r.Arrived(v.email, tellMost)
			}
			return err
		})
	}
	if err != nil && ctx.Err() == nil {
		v.app.voice.Warn("what happens could not be looked at: %s", voice.Line(err.Error()))
	}
	slices.SortFunc(faults, func(a, b storage.Fault) int { return cmp.Compare(a.ID, b.ID) })
	var all []any
	for _, f := range faults {
		if f.ID > v.fault {
			v.fault, v.faultAt = f.ID, f.At
			all = append(all, viewFailure(f, o.Accounts))
		}
	}
	for _, m := range mail {
		v.email = m.Email
		all = append(all, viewMail(m))
	}
	for _, p := range passes {
		all = append(all, p)
	}
	all = append(all, v.changed(o.Accounts)...)
	if err := each(all, v.app.voice.JSON); err != nil {
		return err
	}
	if len(mail) == tellMost {
		return v.look(ctx)
	}
	return nil
}

// changed gives the accounts that stand elsewhere than was last printed.
func (v *events) changed(accounts []view.Account) (all []any) {
	for _, a := range accounts {
		now := stateView{"state", answer.At(time.Now()), a.Name, a.Standing.State, a.Standing.UpToDate(),
			answer.Text(a.Standing.Cause), answer.At(a.Standing.Until), answer.Text(a.NextStep)}
		if before, known := v.states[a.Name]; !known || !now.same(before) {
			v.states[a.Name] = now
			all = append(all, now)
		}
	}
	return all
}

// viewFailure is a fault with the next try of its account.
func viewFailure(f storage.Fault, all []view.Account) faultView {
	one := viewFault(f)
	for _, a := range all {
		if a.Name == f.AccountName {
			one.RetryAt = answer.At(a.NextTry)
		}
	}
	return one
}
