package truth

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
)

// response is one server line. Each literal in it is "{n}" in text, and its
// bytes are in literals.
type response struct {
	text     string
	literals [][]byte
}

// String puts the literals back in their places, as the server sent them.
func (r response) String() string {
	rest, out := r.text, ""
	for _, literal := range r.literals {
		mark := fmt.Sprintf("{%d}", len(literal))
		before, after, _ := strings.Cut(rest, mark)
		out += before + mark + "\r\n" + string(literal)
		rest = after
	}
	return out + rest
}

// Client is one logged-in connection. Not safe for concurrent use.
type Client struct {
	conn net.Conn
	r    *bufio.Reader
	tag  int
	stop func() bool
}

// Dial connects without TLS and logs in. The connection lives until Close or the end of ctx.
func Dial(ctx context.Context, addr, user, password string) (*Client, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("truth: %w", err)
	}
	c := &Client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	c.stop = context.AfterFunc(ctx, func() { conn.Close() })
	greeting, err := c.read()
	if err == nil && !strings.HasPrefix(greeting.text, "* OK") {
		err = fmt.Errorf("greeting %q", greeting.text)
	}
	if err == nil {
		_, err = c.Do("LOGIN " + Quote(user) + " " + Quote(password))
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("truth: %w", err)
	}
	return c, nil
}

// Close drops the connection.
func (c *Client) Close() {
	c.stop()
	c.conn.Close()
}

// Do sends one command without its tag and gives the untagged lines. NO, BAD
// and BYE are errors. A literal in command is written as on the wire: "{n}",
// CRLF, n bytes. It is sent synchronously.
func (c *Client) Do(command string) ([]string, error) {
	responses, err := c.run(command)
	lines := make([]string, len(responses))
	for i, r := range responses {
		lines[i] = r.String()
	}
	return lines, err
}

func (c *Client) run(command string) ([]response, error) {
	c.tag++
	tag := "t" + strconv.Itoa(c.tag) + " "
	var untagged []response
	rest := tag + command
	for {
		// A literal goes out only when the server has said "+".
		part, after, split := strings.Cut(rest, "}\r\n")
		if split {
			part += "}"
		}
		if _, err := c.conn.Write([]byte(part + "\r\n")); err != nil {
			return untagged, err
		}
		for {
			r, err := c.read()
			if err != nil {
				return untagged, fmt.Errorf("%s: %w", verb(command), err)
			}
			if split && strings.HasPrefix(r.text, "+") {
				break
			}
			if status, ok := strings.CutPrefix(r.text, tag); ok {
				if !strings.HasPrefix(status, "OK") {
					return untagged, fmt.Errorf("%s: %s", verb(command), status)
				}
				return untagged, nil
			}
			untagged = append(untagged, r)
		}
		open := strings.LastIndexByte(part, '{')
		n, err := strconv.Atoi(part[open+1 : len(part)-1])
		if open < 0 || err != nil || n > len(after) {
			return untagged, fmt.Errorf("%s: bad literal in the command", verb(command))
		}
		if _, err := io.WriteString(c.conn, after[:n]); err != nil {
			return untagged, err
		}
		rest = after[n:]
	}
}

// verb keeps passwords out of errors.
func verb(command string) string {
	word, _, _ := strings.Cut(command, " ")
	return word
}

func (c *Client) read() (response, error) {
	var r response
	for {
		// A test that waits longer than this for one line has failed.
		if err := c.conn.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
			return r, err
		}
		line, err := c.r.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return r, err
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		r.text += line
		n, announced := literalSize(line)
		if !announced {
			return r, nil
		}
		literal := make([]byte, n)
		if _, err := io.ReadFull(c.r, literal); err != nil {
			return r, err
		}
		r.literals = append(r.literals, literal)
	}
}

func literalSize(line string) (int, bool) {
	if !strings.HasSuffix(line, "}") {
		return 0, false
	}
	n, err := strconv.Atoi(line[strings.LastIndexByte(line, '{')+1 : len(line)-1])
	return n, err == nil && n >= 0 && n <= 1<<30
}

// Quote gives an IMAP quoted string.
func Quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
