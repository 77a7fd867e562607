package page

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"mailcote/engine"
	"mailcote/ui/web"
)

// Progress gives what changes while a sync runs: the store's counts, which a batch moves in its own transaction, under the
// engine's states.
func (s *Source) Progress(ctx context.Context) (web.Progress, error) {
	o, err := s.Overview(ctx)
	if err != nil {
		return web.Progress{}, err
	}
	live := map[string]engine.AccountProgress{}
	for _, p := range s.progress() {
		live[p.Account] = p
	}
	p := web.Progress{Accounts: make([]web.AccountProgress, 0, len(o.Accounts))}
	for _, a := range o.Accounts {
		one := web.AccountProgress{ID: a.ID, State: a.State, Detail: a.Detail, LastSuccess: a.LastSuccess, Errors: a.Errors,
			Mailboxes: make([]web.MailboxProgress, 0, len(a.Mailboxes))}
		if now, ok := live[a.Name]; ok {
			one.Connections = &now.Connections
		}
		for _, m := range a.Mailboxes {
			for _, moving := range live[a.Name].Mailboxes {
				if moving.Path == m.Path && moving.Total > m.Total {
					m.Total = moving.Total // listed, not opened yet
				}
			}
			one.Mailboxes = append(one.Mailboxes, web.MailboxProgress{ID: m.ID, Stored: m.Stored, Total: m.Total, Unread: m.Unread})
		}
		p.Accounts = append(p.Accounts, one)
	}
	return p, nil
}

const (
	askTime  = 2 * time.Second // a running agent answers at once, or its figures are left out
	askLimit = 16 << 20
)

// Ask asks a running agent for its progress.
func (a Agent) Ask(ctx context.Context, token string) (p web.Progress, err error) {
	return p, a.request(ctx, token, http.MethodGet, "/progress.json", &p)
}

// Invite asks a running agent for a new link and code.
func (a Agent) Invite(ctx context.Context, token string) (i web.InviteAnswer, err error) {
	return i, a.request(ctx, token, http.MethodPost, web.InvitePath, &i)
}

// request sends the token and reads the JSON of the answer.
func (a Agent) request(ctx context.Context, token, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, a.URL+path, nil)
	if err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: it is this machine
	answer, err := transport.RoundTrip(request)           // and no redirect
	if err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the agent: %s", answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, askLimit)).Decode(into); err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	return nil
}
