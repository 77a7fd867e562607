package view

import (
	"context"

	"mailcote/engine"
)

// Progress gives what changes while a sync runs: the store's counts, which a batch moves in its own transaction, under the
// engine's states.
func (s *Source) Progress(ctx context.Context) (Progress, error) {
	o, err := s.Overview(ctx)
	if err != nil {
		return Progress{}, err
	}
	live := map[string]engine.AccountProgress{}
	for _, p := range s.progress() {
		live[p.Account] = p
	}
	p := Progress{Accounts: make([]AccountProgress, 0, len(o.Accounts))}
	for _, a := range o.Accounts {
		one := AccountProgress{ID: a.ID, State: a.State, Detail: a.Detail, LastSuccess: a.LastSuccess, Errors: a.Errors,
			Mailboxes: make([]MailboxProgress, 0, len(a.Mailboxes))}
		if now, ok := live[a.Name]; ok {
			one.Connections = &now.Connections
		}
		for _, m := range a.Mailboxes {
			for _, moving := range live[a.Name].Mailboxes {
				if moving.Path == m.Path && moving.Total > m.Total {
					m.Total = moving.Total // listed, not opened yet
				}
			}
			one.Mailboxes = append(one.Mailboxes, MailboxProgress{ID: m.ID, Stored: m.Stored, Total: m.Total, Unread: m.Unread})
		}
		p.Accounts = append(p.Accounts, one)
	}
	return p, nil
}
