package limit

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/providers.md")

const docs = "../../docs/providers.md"

// TestDocs: docs/providers.md says what the profiles say.
func TestDocs(t *testing.T) {
	want := document()
	if *update {
		if err := os.WriteFile(docs, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatal("docs/providers.md is not what the profiles say: go test ./engine/limit -run TestDocs -update")
	}
}

func document() string {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	put("# What providers allow")
	put("")
	put("Written from the profiles in `engine/limit`: `go test ./engine/limit -run TestDocs -update`. " +
		"A profile is chosen by the host, otherwise by a")
	put("capability that only one server offers, or by what the server calls itself (ID, greeting). Every figure " +
		"is where mailcote starts: what a")
	put("server says itself counts more, and is remembered. " +
		"`mailcote status` and the view `rate_limits` show what is used.")
	put("")
	put("- *Connections*: at first and at most. One more after a minute of clean work; after a refusal half, or two " +
		"less than the server names, for 24")
	put("  hours. A new one at most each second (or as said below), and a minute after a refusal; a server on this " +
		"machine is not waited for.")
	put("- *Pace*: half after each sign of throttling, a tenth more after each minute of clean work. " +
		"Signs: a refusal for a limit, `[THROTTLED]` in an")
	put("  OK (then also ten minutes without growth), an answer eight times slower than usual and over 5 s, five " +
		"connections in ten minutes that the")
	put("  server ended or left without an answer.")
	put("- *Bytes a day* are counted below TLS in slots of ten minutes, over any 24 hours, across restarts; 2 %% are " +
		"left to listings and flags. Before a")
	put("  page is asked for its sizes are, and what does not fit any more waits: `resumes 04:10`.")
	put("- *Commands* and *messages*: a quarter of what a window allows at once, the rest evenly, so no window has " +
		"more. Messages are those of 1,000 s.")
	put("- *UIDs a command*: less where the server announces MESSAGELIMIT (RFC 9738).")
	put("")
	put("| profile | chosen by | connections | commands a minute | messages a second | bytes a day | UIDs a command " +
		"| command line | not used | peculiar |")
	put("|---|---|---|---|---|---|---|---|---|---|")
	all := append(Profiles(), Unknown())
	for _, p := range all {
		put("| %s | %s | %d to %d | %s | %s | %s | %d | %d | %s | %s |", p.Name, chosenBy(p), p.Start, p.Most,
			number(int64(p.Commands)), number(int64(p.Messages)),
			number(p.Day), p.UIDs, p.Line, code(p.Distrust), peculiar(p))
	}
	put("")
	put("## Where the figures come from")
	put("")
	put("*Documented* and *source* are the provider's or a program's own; a *published trace* is a session somebody " +
		"showed; *users' reports* may have")
	put("changed; *ours* is chosen. Figures that are not named are those of `unknown`: "+
		"%d UIDs a command, %d octets of a line.", defaultUIDs, defaultLine)
	put("")
	put("| profile | figure | source |")
	put("|---|---|---|")
	for _, p := range all {
		for _, s := range p.Sources {
			put("| %s | %s | %s |", p.Name, s.Figure, s.Says)
		}
	}
	put("")
	put("## Gmail API")
	put("")
	put("mailcote does not speak it; the figures are for whoever adds it. 250 units a second and user (15,000 a " +
		"minute), 1,200,000 a minute in a project. Documented: developers.google.com, Gmail API " +
		"usage limits.")
	put("")
	put("| call | units |")
	put("|---|---|")
	put("| `history.list` | 2 |")
	put("| `messages.batchModify` | 50 |")
	put("| `messages.get` | 5 |")
	put("| `messages.insert` | 25 |")
	put("| `messages.list` | 5 |")
	put("| `messages.send` | 100 |")
	put("")
	put("Its rate-limit errors: 429; 403 rateLimitExceeded; 403 userRateLimitExceeded.")
	return b.String()
}

func chosenBy(p Profile) string {
	var by []string
	for _, group := range []struct {
		what  string
		words []string
	}{{"", p.Hosts}, {"offers ", p.Marks}, {"ID ", p.IDs}, {"greeting ", p.Greetings}} {
		if len(group.words) > 0 {
			by = append(by, group.what+strings.Join(group.words, ", "))
		}
	}
	if by == nil {
		return "nothing else fits"
	}
	return strings.Join(by, "; ")
}

func code(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

func peculiar(p Profile) string {
	var all []string
	if p.IDFirst {
		all = append(all, "wants ID before a mailbox is opened")
	}
	if p.NoIdle {
		all = append(all, "no IDLE")
	}
	if p.Poll > 0 {
		all = append(all, fmt.Sprintf("a look at most each %.0f s", p.Poll.Seconds()))
	}
	if p.DialEvery != defaultDial {
		all = append(all, fmt.Sprintf("a new connection at most each %.0f s", p.DialEvery.Seconds()))
	}
	if p.Hour > 0 {
		all = append(all, number(p.Hour)+" bytes an hour are reported, not enforced: the server says itself when it "+
			"is too much")
	}
	if p.Largest > 0 {
		all = append(all, "takes messages of up to "+number(p.Largest)+" bytes")
	}
	if all == nil {
		return "–"
	}
	return strings.Join(all, "; ")
}

// number groups digits; – for none.
func number(n int64) string {
	if n == 0 {
		return "–"
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
