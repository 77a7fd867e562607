package connpool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// account is a pool's account and memory, and the server it dials: one that answers every command with OK.
type account struct {
	t       *testing.T
	allowed atomic.Int32
	open    atomic.Int32 // sessions the server has now
	most    atomic.Int32
	dials   atomic.Int32
	refuse  atomic.Bool // dials fail
	deaf    atomic.Bool // the server answers nothing any more
	served  sync.WaitGroup

	mu         sync.Mutex
	unanswered Unanswered
	commands   []string
}

// raise makes a maximum at least n.
func raise(most *atomic.Int32, n int32) {
	for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
	}
}

func (a *account) Password(context.Context) (secret.Secret, error) { return secret.New("sesame"), nil }
func (a *account) Say(Doing, string)                               {}
func (a *account) Greeted(context.Context, *imap.Session) error    { return nil }

func (a *account) SignIn(context.Context) (Unanswered, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unanswered, nil
}

func (a *account) SetSignIn(_ context.Context, u Unanswered) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unanswered = u
	return nil
}

// count is how often a command came.
func (a *account) count(name string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.commands {
		if c == name {
			n++
		}
	}
	return n
}

// dial connects over a pipe.
func (a *account) dial(ctx context.Context) (*imap.Session, error) {
	a.dials.Add(1)
	return imap.Dial(ctx, imap.Endpoint{Host: "localhost", Port: 143, Security: imap.Plain}, imap.Options{
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if a.refuse.Load() {
				return nil, &net.OpError{Op: "dial", Err: io.ErrClosedPipe}
			}
			client, server := net.Pipe()
			raise(&a.most, a.open.Add(1))
			a.served.Go(func() {
				a.serve(server)
				a.open.Add(-1)
				server.Close()
			})
			return client, nil
		},
	})
}

func (a *account) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	if _, err := fmt.Fprint(conn, "* OK [CAPABILITY IMAP4rev1 IDLE] hello\r\n"); err != nil {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, _, _ := strings.Cut(rest, " ")
		a.mu.Lock()
		a.commands = append(a.commands, name)
		a.mu.Unlock()
		if a.deaf.Load() {
			continue
		}
		if _, err := fmt.Fprintf(conn, "%s OK [CAPABILITY IMAP4rev1 IDLE] done\r\n", tag); err != nil ||
			name == "LOGOUT" {
			return
		}
	}
}

// start makes a pool over an account with a number of connections allowed. It is closed when the test ends.
func start(t *testing.T, allowed int, change func(*Options)) (*account, *Pool) {
	t.Helper()
	a := &account{t: t}
	a.allowed.Store(int32(allowed))
	o := Options{User: "alice", Account: a, Memory: a, Gate: NewGate(Dials), Dial: a.dial, Connections: func() int {
		return int(a.allowed.Load())
	}}
	if change != nil {
		change(&o)
	}
	p := New(o)
	t.Cleanup(func() {
		p.Close(context.Background())
		a.served.Wait()
		if n := a.open.Load(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	return a, p
}

// take wants a lease.
func take(t *testing.T, p *Pool, w Want) *Lease {
	t.Helper()
	l, err := p.Take(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
