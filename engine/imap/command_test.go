package imap

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
)

// server reads commands as a strict server does, literals included, and answers
// OK to each. It shows that one call is one tag.
func server(p *peer) (commands int, args []string) {
	for {
		line, err := p.br.ReadString('\n')
		if err != nil {
			return commands, args
		}
		commands++
		tag, rest, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		text := rest
		for strings.HasSuffix(rest, "}") {
			size := rest[strings.LastIndexByte(rest, '{')+1 : len(rest)-1]
			n, err := strconv.Atoi(strings.TrimSuffix(size, "+"))
			if err != nil {
				break
			}
			if !strings.HasSuffix(size, "+") {
				p.say("+ go on")
			}
			b := make([]byte, n)
			if _, err := io.ReadFull(p.br, b); err != nil {
				return commands, args
			}
			if rest, err = p.br.ReadString('\n'); err != nil {
				return commands, args
			}
			rest = strings.TrimSuffix(rest, "\r\n")
			text += "\n" + string(b) + rest
		}
		args = append(args, text)
		verb, _, _ := strings.Cut(text, " ")
		if verb == "EXAMINE" || verb == "SELECT" {
			p.say("* 0 EXISTS")
		}
		p.say(tag + " OK done")
	}
}

var hostile = []string{
	"", "INBOX", `a"b`, `a\b`, "a\r\nx1 DELETE INBOX", "a\nx1 LOGOUT", "{5}", "{5+}", "a {5}\r\nx", "\r", "\n",
	"a\x00b", "&AAo-",
	"caf\u00e9", "\xff\xfe", "*", "%", "NIL", strings.Repeat("x", 600), strings.Repeat("\r\n", 5000), "\x7f", "a)b(",
	"]", "\u202e",
}

// X6: whatever an argument holds, a call is one command, and the argument
// arrives as it is or is refused.
func TestInjection(t *testing.T) {
	calls := map[string]func(s *Session, arg string) error{
		"EXAMINE": func(s *Session, arg string) error {
			_, err := s.Examine(context.Background(), arg, false)
			return err
		},
		"STATUS": func(s *Session, arg string) error {
			_, err := s.Status(context.Background(), arg, []string{"MESSAGES"})
			return err
		},
		"STATUS item": func(s *Session, arg string) error {
			_, err := s.Status(context.Background(), "x", []string{arg})
			return err
		},
		"LIST item": func(s *Session, arg string) error {
			_, err := s.List(context.Background(), []string{arg})
			return err
		},
		"LOGIN": func(s *Session, arg string) error { return s.Login(context.Background(), "u", arg) },
		"ID": func(s *Session, arg string) error {
			_, err := s.ID(context.Background(), map[string]string{"name": arg, arg: "x"})
			return err
		},
		"FETCH item": func(s *Session, arg string) error {
			return s.UIDFetch(context.Background(), goimap.UIDSetNum(1), []Item{Item(arg)}, FetchHandler{})
		},
		"Send": func(s *Session, arg string) error {
			tag, err := s.Send(context.Background(), "X "+arg)
			if err == nil {
				_, err = s.Wait(context.Background(), tag)
			}
			return err
		},
	}
	for name, call := range calls {
		for _, offered := range []string{"", "LITERAL+", "LITERAL- LIST-STATUS"} {
			for _, arg := range hostile {
				var commands int
				var args []string
				done := make(chan struct{})
				d, _ := pipe(t, func(p *peer) {
					defer close(done)
					p.say("* OK [CAPABILITY IMAP4rev1 " + offered + "] hi")
					commands, args = server(p)
				})
				s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d})
				if err != nil {
					t.Fatal(err)
				}
				err = call(s, arg)
				_ = s.Close()
				<-done
				want := 1
				if errors.Is(err, ErrCommand) {
					want = 0
				} else if err != nil {
					t.Errorf("%s %q: %v", name, arg, err)
				}
				if strings.HasPrefix(name, "LIST") && commands == 2 && strings.HasSuffix(args[1], `"*"`) ||
					name == "LOGIN" && commands == 2 && args[1] == "CAPABILITY" {
					commands-- // the fallback, and what follows a login
				}
				if commands != want {
					t.Errorf("%s %q (%s): %d commands, %q, %v", name, arg, offered, commands, args, err)
				}
				if want == 1 && (name == "EXAMINE" || name == "LOGIN") {
					if got := lastArg(args[0]); got != arg {
						t.Errorf("%s %q (%s) arrived as %q", name, arg, offered, got)
					}
				}
			}
		}
	}
}

// lastArg reads the last argument back, as quoted string or literal.
func lastArg(text string) string {
	if head, lit, ok := strings.Cut(text, "}\n"); ok && !strings.HasSuffix(head, `"`) {
		return lit
	}
	_, text, _ = strings.Cut(text, " ")
	text = strings.TrimPrefix(text, `"u" `)
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`))
}

// A refused literal is never sent, and its refusal is the answer.
func TestLiteralRefused(t *testing.T) {
	d, p := pipe(t, func(p *peer) {
		p.say("* OK [CAPABILITY IMAP4rev1] hi")
		tag, _ := p.next()
		p.say("* OK hm", tag+" NO [TOOBIG] no")
		p.answer()
		p.untilGone()
	})
	s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var st *StatusError
	if err := s.Login(context.Background(), "u", "p\u00e4ss"); !errors.As(err, &st) || st.Code != "TOOBIG" {
		t.Error(err)
	}
	if err := s.Noop(context.Background()); err != nil {
		t.Error(err)
	}
	if lines := p.lines(); len(lines) != 2 || lines[0] != "m1 LOGIN \"u\" {5}\r\n" {
		t.Errorf("sent %q", lines)
	}
}
