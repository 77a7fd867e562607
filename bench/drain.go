package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/truth"
)

// drain FETCHes everything over one connection and keeps nothing. No program
// can be faster on one connection.
func (b *bench) drain(ctx context.Context, rtt time.Duration) (result, error) {
	line, err := proxy.New(b.server.Addr(), b.options.seed)
	if err != nil {
		return result{}, err
	}
	defer line.Close()
	line.Set(proxy.Faults{Delay: rtt / 2})
	began, busy := time.Now(), b.server.CPU()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", line.Addr())
	if err != nil {
		return result{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	commands := []string{"LOGIN " + dovecot.User + " " + dovecot.Password}
	for _, name := range corpus.Mailboxes(b.options.mailboxes) {
		commands = append(commands, "EXAMINE "+truth.Quote(truth.EncodeName(name)),
			"UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")
	}
	r, bodies := bufio.NewReaderSize(conn, 256<<10), 0
	for i, command := range commands {
		tag := "d" + strconv.Itoa(i) + " "
		if _, err := io.WriteString(conn, tag+command+"\r\n"); err != nil {
			return result{}, err
		}
		n, err := skipTo(r, tag)
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", command, err)
		}
		bodies += n
	}
	if bodies != b.options.messages {
		return result{}, fmt.Errorf("it saw %d messages of %d", bodies, b.options.messages)
	}
	stats := line.Stats()
	wall := time.Since(began)
	first := outcome{wall: wall, wire: stats.Up + stats.Down, server: b.server.CPU() - busy}
	return result{first: first, readable: wall}, nil
}

// skipTo reads up to the answer of the command with this tag and counts the literals on the way.
func skipTo(r *bufio.Reader, tag string) (literals int, err error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return literals, err
		}
		if status, ok := strings.CutPrefix(line, tag); ok {
			if !strings.HasPrefix(status, "OK") {
				return literals, errors.New(strings.TrimSpace(status))
			}
			return literals, nil
		}
		if !strings.HasSuffix(line, "}\r\n") {
			continue
		}
		n, err := strconv.Atoi(line[strings.LastIndexByte(line, '{')+1 : len(line)-3])
		if err != nil {
			return literals, fmt.Errorf("literal in %q: %w", line, err)
		}
		if _, err := r.Discard(n); err != nil {
			return literals, err
		}
		literals++
	}
}
