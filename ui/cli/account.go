package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/ui/cli/answer"
	"mailcote/ui/cli/voice"
	"mailcote/ui/format"
	"mailcote/ui/view"
)

func (a *app) account() *cobra.Command {
	c := &cobra.Command{
		Use:   "account COMMAND",
		Short: "Add, list, show, set, test, pause, resume, rename and remove accounts",
		Example: `  mailcote account add imaps://you@example.org
  mailcote account test you@example.org`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(a.accountAdd(), a.orFresh(a.accountList()), a.accountShow(), a.accountSet(), a.accountTest(),
		a.accountPause(),
		a.accountResume(), a.accountRename(), a.accountRemove())
	return c
}

func (a *app) accountList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the accounts", Args: exactly(0, ""),
		Example: "  mailcote account list",
		RunE: func(c *cobra.Command, _ []string) error {
			var all []standingAccount
			err := a.readWithAccounts(c.Context(), func(r *storage.Reader, standing []view.Account) error {
				accounts, err := r.Accounts()
				for _, one := range accounts {
					v, viewing := viewStandingAccount(r, one, standing)
					err = errors.Join(err, viewing)
					all = append(all, v)
				}
				return err
			})
			if err != nil {
				return err
			}
			if a.json {
				return each(all, a.voice.JSON)
			}
			if len(all) == 0 {
				a.noAccountYet()
				return nil
			}
			var rows [][]string
			for _, v := range all {
				rows = append(rows, []string{v.Account, v.words, v.URL, format.Count(int64(v.Mailboxes)),
					format.Count(v.Messages), moment(v.LastSuccess)})
			}
			return a.voice.Table([]string{"ACCOUNT", "STATE", "SERVER", "MAILBOXES", "MESSAGES", "LAST SUCCESS"}, rows,
				voice.Layout{Flexible: []int{0, 1, 2}, Spare: []int{2, 3}})
		},
	}
}

func (a *app) accountShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ACCOUNT", Short: "Show one account and its mailboxes", Args: exactly(1, "ACCOUNT"),
		Example: "  mailcote account show you@example.org", ValidArgsFunction: a.completeAccounts(1),
		RunE: func(c *cobra.Command, args []string) error {
			var v standingAccount
			var boxes []mailboxView
			err := a.readWithAccounts(c.Context(), func(r *storage.Reader, standing []view.Account) error {
				one, err := findAccount(r, args[0])
				if err != nil {
					return err
				}
				if v, err = viewStandingAccount(r, one, standing); err != nil {
					return err
				}
				boxes, err = viewMailboxes(r, one)
				return err
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.voice.JSON(shownAccount{v, boxes})
			}
			return a.printAccount(v, boxes)
		},
	}
}

// shownAccount is `account show --json`.
type shownAccount struct {
	standingAccount
	Boxes []mailboxView `json:"mailbox_list"` // its mailboxes
}

func (a *app) printAccount(v standingAccount, boxes []mailboxView) error {
	lines := [][2]string{{"Account", v.Account}, {"Server", v.URL}, {"User", v.User}, {"Password", v.Password},
		{"State", v.words},
		{"Added", moment(v.Created)}, {"Last success", moment(v.LastSuccess)}, {"Server says", string(v.ServerID)},
		{"Next step", string(v.NextStep)}}
	if err := a.pairs(lines); err != nil || len(boxes) == 0 {
		return err
	}
	var rows [][]string
	for _, b := range boxes {
		rows = append(rows, b.row())
	}
	if err := a.voice.Say(""); err != nil {
		return err
	}
	return a.voice.Table(mailboxHead(), rows, mailboxLayout())
}

func (a *app) accountTest() *cobra.Command {
	var s sources
	c := &cobra.Command{
		Use: "test ACCOUNT|URL", Short: "Try to sign in, step by step", Args: exactly(1, "ACCOUNT or URL"),
		Example: `  mailcote account test you@example.org
  mailcote account test imaps://you@example.org --password-file pw`,
		ValidArgsFunction: a.completeAccounts(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, insecure, err := a.testLogin(c.Context(), &s, args[0])
			if err != nil {
				return err
			}
			return a.probeAsking(c.Context(), &s, &l, insecure) // changes nothing, so it works beside a running owner
		},
	}
	s.flags(c)
	return c
}

// testLogin gives what to sign in with, from a URL or for a known account.
func (a *app) testLogin(ctx context.Context, s *sources, arg string) (engine.Login, bool, error) {
	path, _, err := a.storePath()
	if err != nil {
		return engine.Login{}, false, err
	}
	if isURL(arg) {
		l, err := s.login(a, arg)
		if err == nil {
			err = s.canGive(a, l, false)
		}
		if err == nil {
			l.Password, _, err = s.get(ctx, a, l, path)
		}
		return l, s.insecure, err
	}
	if err := s.onlyOne(a); err != nil {
		return engine.Login{}, false, err
	}
	ref, err := s.ref()
	if err != nil {
		return engine.Login{}, false, err
	}
	var one storage.Account
	if err := a.read(ctx, func(r *storage.Reader) (err error) {
		if one, err = findAccount(r, arg); err != nil || ref.Kind != secret.None || s.stdin {
			return err
		}
		if ref, err = secret.ParseRef(one.SecretRef); err != nil {
			return err
		}
		return unapproved(one, engine.MayUse(r, approvals(), one, ref))
	}); err != nil {
		return engine.Login{}, false, err
	}
	l := loginOf(one)
	if ref.Kind == secret.None {
		if err := s.canGive(a, l, false); err != nil {
			return l, false, err
		}
		l.Password, _, err = s.get(ctx, a, l, path)
	} else {
		l.Password, err = l.Resolve(ctx, ref, secret.BoxOf(path))
	}
	return l, one.Insecure, ofLogin(l, err)
}

// unapproved adds what to do to the error of a password's source that nobody
// named on this machine.
func unapproved(a storage.Account, err error) error {
	if one := (*secret.UnapprovedError)(nil); errors.As(err, &one) {
		return &failure{Denied, fmt.Errorf("%s: %w: if you want that, approve it: mailcote account set %s %s", a.Name,
			err, view.ShellWord(a.Name), one.Flag())}
	}
	return err
}

func loginOf(a storage.Account) engine.Login {
	return engine.Login{User: a.User, Host: a.Host, Port: a.Port, Security: imap.Security(a.Security)}
}

// stepView is one step of a test in JSON.
type stepView struct {
	Type   string      `json:"type"`   // always "step"
	Name   string      `json:"name"`   // connect, sign in, list mailboxes and the like
	OK     bool        `json:"ok"`     // it worked
	Detail answer.Text `json:"detail"` // what was found, or the fault in words
	Hint   answer.Text `json:"hint"`   // what to do about a failure
	Class  answer.Text `json:"class"`  // of the fault, docs/errors.md; null: it worked
}

// probe signs in and reports each step. Its error has the exit status of the
// step that failed.
func (a *app) probe(ctx context.Context, l engine.Login, insecure bool) error {
	var failed error
	for _, step := range engine.Probe(ctx, l, imap.Options{Insecure: insecure, Trace: a.trace()}) {
		if !step.OK && ctx.Err() != nil { // interrupted: the step did not fail
			return ctx.Err()
		}
		// A step's name need not be said twice.
		detail := strings.TrimPrefix(strings.TrimPrefix(step.Detail, step.Name+": "),
			strings.ReplaceAll(step.Name, " ", "-")+": ")
		if a.json {
			if err := a.voice.JSON(stepView{"step", step.Name, step.OK, answer.Text(detail),
				answer.Text(step.Hint), answer.Text(step.Class)}); err != nil {
				return err
			}
		} else {
			a.voice.Note("%s %s%s", a.voice.Mark(step.OK), voice.Line(step.Name), after(": ", voice.Line(detail)))
		}
		if !step.OK && failed == nil {
			failed = &explainedError{&failure{statusOfClass(step.Class), fmt.Errorf("%s at %s: %s", l.User, l.Host,
				cmp.Or(detail, step.Name+" failed"))}, step.Hint, string(step.Class)}
			if step.Refused {
				failed = &refusedError{failed}
			}
		}
	}
	return failed
}

func after(separator, s string) string {
	if s == "" {
		return ""
	}
	return separator + s
}

// joined puts what happened and what to do on one line.
func joined(what, then string) string {
	if then != "" {
		what = strings.TrimRight(what, ".")
	}
	return what + after(": ", then)
}

// serverURL is how an account's server is written, without a password.
func serverURL(security, host string, port int) string {
	scheme := map[imap.Security]string{imap.TLS: "imaps", imap.StartTLS: "imap+starttls",
		imap.Plain: "imap"}[imap.Security(security)]
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}

func moment(t answer.Time) string {
	if t.IsZero() {
		return "never"
	}
	return format.Moment(t.Time)
}
