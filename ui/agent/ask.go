package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mailcote/ui/web"
)

// ErrSilent says that an agent does not answer in time: it hangs.
var ErrSilent = errors.New("the agent does not answer; if that lasts, end its process and start it again")

const (
	askTime  = 5 * time.Second // an agent answers at once, on a busy machine a little later
	askLimit = 16 << 20
)

// Ask asks a running agent for its progress.
func (a Agent) Ask(ctx context.Context, token string) (p web.Progress, err error) {
	return p, a.request(ctx, token, http.MethodGet, web.ProgressPath, &p)
}

// Invite asks a running agent for a new link and code.
func (a Agent) Invite(ctx context.Context, token string) (i web.InviteAnswer, err error) {
	return i, a.request(ctx, token, http.MethodPost, web.InvitePath, &i)
}

// request sends the token and reads the JSON of the answer.
func (a Agent) request(ctx context.Context, token, method, path string, into any) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, ErrSilent)
	defer cancel()
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), ErrSilent) {
			err = ErrSilent
		}
	}()
	answer, err := a.send(ctx, token, method, path)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if err := json.NewDecoder(io.LimitReader(answer.Body, askLimit)).Decode(into); err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	return nil
}

// send sends the token. The answer is a good one, and its body is not read yet.
func (a Agent) send(ctx context.Context, token, method, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.URL+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: it is this machine
	answer, err := transport.RoundTrip(request)           // and no redirect
	if err != nil {
		return nil, fmt.Errorf("ask the agent: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("ask the agent: %s", answer.Status), answer.Body.Close())
	}
	return answer, nil
}

// silence is how long a stream may be silent. An agent gives signs of life more
// often.
const silence = 30 * time.Second

// Listen calls changed at each change that a running agent reports. It ends
// with the agent, or with ctx.
func (a Agent) Listen(ctx context.Context, token string, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	answer, err := a.send(ctx, token, http.MethodGet, web.EventsPath)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, askLimit)
	beat := false
	for lines.Scan() {
		alive.Reset(silence)
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			beat = true
		case strings.HasPrefix(line, "data: ") && !beat:
			changed()
		case line == "":
			beat = false
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("listen to the agent: %w", err)
	}
	return nil
}
