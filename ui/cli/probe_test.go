package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"testing"

	"mailcote/engine"
	"mailcote/ui/cli/voice"
)

// TestProbeInterrupted: Ctrl-C while a silent server is tried is no fault of the server.
func TestProbeInterrupted(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // nobody is there any more
	ctx, cancel := context.WithCancel(t.Context())
	met := make(chan struct{})
	go func() {
		defer close(met)
		c, err := silent.Accept()
		cancel()
		if err == nil {
			_, _ = c.Read(make([]byte, 1)) // until it is closed
			_ = c.Close()
		}
	}()
	login, err := engine.ParseURL("imap://a:b@127.0.0.1:" + strconv.Itoa(silent.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{voice: voice.New(os.Stdin, os.Stdout, os.Stderr)}
	err = explained(a.probe(ctx, login, false))
	if !errors.Is(a.probe(ctx, login, false), context.Canceled) || statusOf(err) != Failed ||
		err.Error() != "interrupted: nothing more was done" {
		t.Errorf("%v, status %d", err, statusOf(err))
	}
	<-met
}
