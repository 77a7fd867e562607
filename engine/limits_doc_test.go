package engine

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailcote/engine/chunk"
	"mailcote/engine/fault/policy"
	"mailcote/engine/fetch"
	"mailcote/engine/health"
	"mailcote/engine/imap"
	"mailcote/engine/limit"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/engine/reconcile"
	"mailcote/storage"
)

var update = flag.Bool("update", false, "write docs/limits.md")

const limitsDoc = "../docs/limits.md"

// TestLimitsDoc: docs/limits.md says what the code does, and leaves out no field of the caps.
func TestLimitsDoc(t *testing.T) {
	want := limitsDocument(t)
	if *update {
		if err := os.WriteFile(limitsDoc, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(limitsDoc)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatal("docs/limits.md is not what the code does: go test ./engine -run TestLimitsDoc -update")
	}
}

// capRow is one row: field is where it stands in the code, what is its number, and behind it is what happens there.
type capRow struct {
	field, what string
	most        any // a number, a number of octets, or a time
	behind      string
}

type octets int64

func (c capRow) number() string {
	digits := func(n int64) string {
		s := strconv.FormatInt(n, 10)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	}
	switch n := c.most.(type) {
	case octets:
		switch {
		case n >= 1<<20 && n%(1<<20) == 0:
			return digits(int64(n)>>20) + " MiB"
		case n >= 1<<10 && n%(1<<10) == 0:
			return digits(int64(n)>>10) + " KiB"
		}
		return digits(int64(n)) + " octets"
	case time.Duration:
		return regexp.MustCompile(`h0m$`).ReplaceAllString(regexp.MustCompile(`m0s$`).ReplaceAllString(n.String(),
			"m"), "h")
	case int:
		return digits(int64(n))
	case int64:
		return digits(n)
	}
	panic(fmt.Sprintf("%T", c.most))
}

func limitsDocument(t *testing.T) string {
	caps, wire, parse := plan.DefaultCaps(), imap.DefaultLimits(), message.DefaultLimits()
	const (
		session = "session fault"
		mailbox = "mailbox fault"
		ignored = "passed over"
		timeout = "timeout"
		partial = "partial view"
	)
	tables := []struct {
		title, text string
		of          any // every number of it has a row
		rows        []capRow
	}{
		{"A mailbox and an account", "`plan.Caps` (`engine/plan/caps.go`).", caps, []capRow{
			{"Messages", "messages of one mailbox, by EXISTS or by a listing", caps.Messages, mailbox},
			{"Rebound", "messages, listed and stored, that are compared by header after UIDVALIDITY moved or UIDs " +
				"were given out again", caps.Rebound,
				"what is new is downloaded, and what is the same is stored once; " +
					"where numbers do not last, mailbox fault"},
			{"Flags", "messages whose flags one FETCH asks for, and changes that one answer leaves in memory",
				caps.Flags, "flags are compared in parts of that size"},
			{"Octets", "octets of changed flags in one answer", octets(caps.Octets), mailbox +
				"; what came before is stored"},
			{"News", "flags of other messages that come along with a page of mail", caps.News,
				"the next pass asks for the others"},
			{"Aside", "quarantined messages of one mailbox", caps.Aside, mailbox + "; newer mail has arrived before"},
			{"AllAside", "quarantined messages of one account", caps.AllAside, "as above"},
			{"Culprits", "messages of one mailbox that are found in one pass to end sessions", caps.Culprits,
				"the account waits as after trouble of the network, and goes on behind them"},
			{"", "stored mailboxes that begin like one new name and are compared with it as a whole " +
				"(`engine/rename.go`)",
				mostAlike, "the name is a new mailbox"},
			{"", "sessions that such a comparison may break", mostBreaks, "the name is a new mailbox"},
			{"Rows", "mailboxes of one account in the store, with those that are gone for less than 30 days",
				caps.Rows, "new mailboxes are left out, the account is partial, a fault of the account says so"},
		}},
		{"A session", "`imap.Limits` and the constants beside it (`engine/imap/limits.go`).", wire, []capRow{
			{"Line", "one response without its literals", octets(wire.Line), session},
			{"Listing", "the same for SEARCH, ESEARCH and VANISHED", octets(wire.Listing), session},
			{"Literal", "a string that is kept in memory, and what one message keeps of unknown items",
				octets(wire.Literal), session},
			{"Streamed", "a literal of a message", octets(wire.Streamed), session +
				"; the message is asked for alone, then in parts, then quarantined"},
			{"Command", "all octets of one command's answer without the bodies that were asked for",
				octets(wire.Command), session},
			{"Responses", "responses to one command", wire.Responses, session},
			{"Depth", "nested parentheses", wire.Depth, session},
			{"Ranges", "ranges of a UID set", wire.Ranges, session},
			{"Mailboxes", "mailboxes of one LIST", wire.Mailboxes,
				"the first of them are synced, none is lost, a fault of the account says so, the account is partial"},
			{"Names", "octets of their names and attributes, and 64 for each", octets(wire.Names), "as above"},
			{"", "capabilities", imap.MaxCapabilities, ignored},
			{"", "octets of one capability", octets(imap.MaxCapabilityName), ignored},
			{"", "pairs of ID", imap.MaxID, ignored},
			{"", "attributes of a mailbox", imap.MaxAttributes, ignored},
			{"", "flags of one message", imap.MaxFlags, session},
			{"", "octets of the flags of one message", octets(imap.MaxFlagOctets), session},
			{"", "keywords that messages share in memory", imap.MaxKeywords, "others take memory of their own"},
			{"", "unknown items kept of one message", imap.MaxExtra, ignored},
			{"", "times that one call goes on behind a MESSAGELIMIT", imap.MaxContinued,
				"a protocol fault of the mailbox"},
			{"MinRate", "octets that must come in each Window spent in a response, and in each Wait spent waiting: " +
				"at least", octets(wire.MinRate), timeout},
			{"Window", "the time for that inside a response", wire.Window, timeout},
			{"Wait", "the time for that in all", wire.Wait, timeout},
			{"Connect", "name look-up and TCP", wire.Connect, timeout},
			{"TLS", "the handshake, and each CAPABILITY before sign-in", wire.TLS, timeout},
			{"Greeting", "the greeting", wire.Greeting, timeout},
			{"Auth", "a sign-in", wire.Auth, timeout},
			{"Progress", "silence while a command is open", wire.Progress, timeout},
			{"Idle", "silence in IDLE before the server has to answer", wire.Idle,
				"DONE is sent; no answer to it is a timeout"},
			{"Reissue", "the age of an IDLE", wire.Reissue, "it is ended and begun anew"},
			{"Bye", "a tagged answer behind BYE", wire.Bye, "the connection ends"},
		}},
		{"A pass", "Constants of `engine`, `engine/chunk`, `engine/fault/policy`, `engine/limit` and `storage`.", nil,
			[]capRow{
				{"", "times that one pass lists a mailbox which keeps changing", reconcile.MaxRounds,
					"the next pass goes on"},
				{"", "messages that one FETCH asks for", fetch.PageMost, "pages follow each other"},
				{"", "messages, and", fetch.BatchMessages, "a batch is committed"},
				{"", "octets of a batch", octets(fetch.BatchBytes), "a batch is committed"},
				{"", "octets of a message that is read into memory", octets(storage.MaxInline),
					"it goes straight into the store"},
				{"", "octets of all raw messages in memory, in the whole process", octets(budgetBytes),
					"others wait, for a second, then go straight into the store"},
				{"", "octets of a message that are asked for in one part", octets(chunk.Most),
					"parts follow each other; a larger answer is a protocol fault"},
				{"", "messages of one pass that are asked for in every way and do not come", fetch.MaxHopeless,
					"others that do not come are quarantined at once"},
				{"", "messages of a mailbox whose flags are not asked for any more because they end sessions",
					reconcile.MaxSkipped, "the mailbox ends with its fault"},
				{"", "alerts of a server that are recorded", health.MostAlerts, ignored},
				{"", "faults that are kept", storage.MaxFaults, "the oldest go"},
				{"", "the longest wait that a server is granted by its words", policy.Longest, "it is tried then"},
				{"", "the longest rest of an account", limit.Longest, "it is tried then"},
				{"", "without a byte stored or a command answered", stuckAfter, "the task ends with a timeout"},
			}},
		{"A message", "`message.Limits` (`engine/message/view.go`).", parse, []capRow{
			{"Depth", "nested parts", parse.Depth, partial},
			{"Parts", "parts", parse.Parts, partial},
			{"Header", "the header; a part's has a sixteenth", octets(parse.Header), partial},
			{"Text", "text", octets(parse.Text), partial},
			{"HTML", "HTML before it is made text", octets(parse.HTML), partial},
			{"Addresses", "addresses of a field", parse.Addresses, partial},
			{"References", "message ids of a field", parse.References, "the first and the last are kept"},
			{"Attachments", "attachments that are listed", parse.Attachments, partial},
		}},
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# The most of everything")
	line("")
	line("Written from the code: `go test ./engine -run TestLimitsDoc -update`. A number that a server says is only " +
		"a number: what it makes the")
	line("program hold, write, repeat or wait for ends at the cap beside it. TestExtremeNumbers has a server say the " +
		"largest numbers in every kind of")
	line("response under 256 MiB of memory; `go test ./engine -run '^$' -bench Slope -benchtime 1x` prints " +
		"how time grows with mailboxes, UIDs, flags")
	line("and parts.")
	line("")
	line("- *session fault*: the session ends with a protocol fault. The task is tried again on a new connection; " +
		"then its mailbox is left for a")
	line("  while, and the others go on. Where no mailbox was open yet, the account is tried again later.")
	line("- *mailbox fault*: the mailbox ends with a protocol fault that says the number and the cap. It is tried " +
		"again after 15 minutes, and at last")
	line("  every 12 hours. The other mailboxes go on, and the account is partial.")
	line("- *passed over*: what is over the cap is read and not kept.")
	line("- *timeout*: the connection ends, and the task is tried again on a new one.")
	line("- *partial view*: the raw message is kept whole, its view says that it is partial.")
	for _, table := range tables {
		line("")
		line("## %s", table.title)
		line("")
		line("%s", table.text)
		line("")
		line("| what | most | behind it |")
		line("|---|---|---|")
		have := map[string]bool{}
		for _, row := range table.rows {
			have[row.field] = true
			line("| %s | %s | %s |", row.what, row.number(), row.behind)
		}
		if table.of == nil {
			continue
		}
		for _, field := range reflect.VisibleFields(reflect.TypeOf(table.of)) {
			if !have[field.Name] {
				t.Errorf("%T.%s has no row", table.of, field.Name)
			}
		}
	}
	return b.String()
}
