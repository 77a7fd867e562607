package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"mailcote/ui/web"
)

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
