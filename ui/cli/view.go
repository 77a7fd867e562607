package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"mailcote/engine/health"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

// accountView is an account in JSON. Its keys are the contract of `account list|show --json`.
type accountView struct {
	Type        string      `json:"type"`            // always "account"
	Account     string      `json:"account"`         // its name
	User        string      `json:"user"`            // who signs in
	URL         string      `json:"url"`             // the server's, without user and password
	State       string      `json:"state"`           // active or paused
	NextStep    answer.Text `json:"next_step"`       // what a person can do
	Password    string      `json:"password_from"`   // file, command, saved or none; never the password
	ServerID    answer.Text `json:"server_id"`       // what the server says it is (RFC 2971)
	Mailboxes   int         `json:"mailboxes"`       // how many are known
	Messages    int64       `json:"messages"`        // how many are here
	Created     answer.Time `json:"created_at"`      // when it was added
	LastSuccess answer.Time `json:"last_success_at"` // the end of the last complete pass; null: there was none
}

// standingAccount is an account in JSON, with where it stands.
type standingAccount struct {
	accountView
	Standing view.State `json:"standing"` // the state of status --json, docs/states.md
	standing
}

func viewAccount(r *storage.Reader, a storage.Account) (accountView, error) {
	v := accountView{Type: "account", Account: a.Name, User: a.User, URL: serverURL(a.Security, a.Host, a.Port),
		State:    "active",
		ServerID: answer.Text(a.ServerID), Created: answer.At(a.CreatedAt), LastSuccess: answer.At(a.LastSuccess),
		Password: "none"}
	if a.Paused {
		v.State = "paused"
		v.NextStep = answer.Text(pausedStep(a))
	}
	if ref, err := secret.ParseRef(a.SecretRef); err == nil && ref.Kind != secret.None {
		v.Password = string(ref.Kind)
	}
	boxes, err := r.Mailboxes(a.ID)
	for _, b := range boxes {
		v.Mailboxes++
		v.Messages += b.Total
	}
	return v, err
}

// viewStandingAccount is viewAccount with the account's state.
func viewStandingAccount(r *storage.Reader, a storage.Account, all []view.Account) (standingAccount, error) {
	plain, err := viewAccount(r, a)
	v := standingAccount{accountView: plain}
	for _, one := range all {
		if one.Name == a.Name {
			v.Standing, v.standing = one.Standing.State, viewStanding(one.Standing)
		}
	}
	return v, err
}

// pausedStep says why an account is paused and what ends it.
func pausedStep(a storage.Account) string { return joined(a.PauseReason, view.Resume(a)) }

// findAccount finds an account by name, otherwise by user@host or
// user@host:port. An unknown one is a usage error.
func findAccount(r *storage.Reader, name string) (storage.Account, error) {
	a, err := r.AccountByName(name)
	if !errors.Is(err, storage.ErrNotFound) {
		return a, err
	}
	all, err := r.Accounts()
	if err != nil {
		return a, err
	}
	var meant []storage.Account
	for _, one := range all {
		if name == one.User+"@"+one.Host || name == one.User+"@"+loginOf(one).Endpoint().Addr() {
			meant = append(meant, one)
		}
	}
	if len(meant) == 1 {
		return meant[0], nil
	}
	if len(meant) > 1 {
		one := loginOf(meant[0])
		return a, usageHint("add the port, as in "+one.User+"@"+one.Endpoint().Addr(), "%s is more than one account",
			typed(name))
	}
	if len(all) == 0 {
		return a, usageHint("there is none yet, add one with mailcote account add imaps://you@example.org",
			"unknown account %s", typed(name))
	}
	var names []string
	for _, one := range all[:min(len(all), 5)] {
		names = append(names, one.Name)
	}
	return a, usageHint("known are "+strings.Join(names, ", ")+"; mailcote account list shows all",
		"unknown account %s", typed(name))
}

// tableID is an id in a table. A terminal has no room for all of it, and these
// characters will do: that two of 100,000 emails share them happens to one row
// of some 300,000, and then show lists both.
func (a *app) tableID(id storage.EmailID) string {
	if !a.voice.OutTTY {
		return string(id)
	}
	typed := id.Typed()
	return typed[:min(len(typed), storage.ShortID)]
}

// typed quotes an argument. It leaves out one that may hold a password: a URL
// in the wrong place, also without its scheme.
func typed(arg string) string {
	if colon := strings.IndexByte(arg, ':'); colon >= 0 && strings.Contains(arg[colon:], "@") {
		return "(not repeated: there may be a password in it)"
	}
	return strconv.Quote(arg)
}

func isURL(arg string) bool { return strings.Contains(arg, "://") }

// each prints values one by one.
func each[T any](all []T, print func(any) error) error {
	for _, one := range all {
		if err := print(one); err != nil {
			return err
		}
	}
	return nil
}

// pairs prints labelled values without the empty ones.
func (a *app) pairs(lines [][2]string) error {
	for _, l := range labelled(lines) {
		for i, text := range a.pair(l) {
			if i == 0 {
				text = a.voice.Faint(l[0]) + strings.TrimPrefix(text, l[0])
			}
			if err := a.voice.Say("%s", text); err != nil {
				return err
			}
		}
	}
	return nil
}

// pair is a labelled value, in as many lines as it needs.
func (a *app) pair(l [2]string) []string { return a.voice.Wrap(l[0]+"  ", voice.Width(l[0])+2, l[1]) }

// labelled gives all labels one width and drops empty values.
func labelled(lines [][2]string) (all [][2]string) {
	widest := 0
	for _, l := range lines {
		widest = max(widest, len(l[0]))
	}
	for _, l := range lines {
		if l[1] != "" {
			all = append(all, [2]string{voice.Fit(l[0], widest), l[1]})
		}
	}
	return all
}

// holdView is what fails for an account or its host, in JSON. The names are
// those of the view breakers.
type holdView struct {
	Type     string      `json:"type"`     // always "hold"
	Host     answer.Text `json:"host"`     // null: only the account fails
	Class    class.Class `json:"class"`    // of the fault, docs/errors.md
	Failures int         `json:"failures"` // in a row
	Open     bool        `json:"open"`     // the breaker is open: one probe is made at until
	Until    answer.Time `json:"until"`    // no try before
	Detail   answer.Text `json:"detail"`   // the fault in words
	Offline  bool        `json:"offline"`  // the network is away for longer
}

func viewHolds(all []health.Row) []holdView {
	views := make([]holdView, 0, len(all))
	for _, b := range all {
		v := holdView{Type: "hold", Class: b.Class, Failures: b.Failures, Open: !b.OpenedAt.IsZero(),
			Until: answer.At(b.Until), Detail: answer.Text(b.Detail), Offline: health.Offline(b)}
		if host, is := strings.CutPrefix(b.Scope, "host:"); is {
			v.Host = answer.Text(host)
		}
		views = append(views, v)
	}
	return views
}

func (h holdView) String() string {
	text := format.Plural(int64(h.Failures), "failure", "failures") + " in a row (" + string(h.Class) + ")"
	if h.Host != "" {
		text = voice.Line(string(h.Host)) + ": " + text
	}
	switch {
	case h.Until.Before(time.Now()):
		text += ", tried again now"
	case h.Open:
		text += ", breaker open: one probe at " + format.Moment(h.Until.Time)
	default:
		text += ", tried again at " + format.Moment(h.Until.Time)
	}
	return text + after(": ", voice.Line(string(h.Detail)))
}
