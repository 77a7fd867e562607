package policy

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailcote/storage/class"
)

var update = flag.Bool("update", false, "write docs/errors.md")

const docs = "../../../docs/errors.md"

// TestDocs: docs/errors.md says what the tables say.
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
		t.Fatal("docs/errors.md is not what the tables say: go test ./engine/fault/policy -run TestDocs -update")
	}
}

func document() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# What happens when something goes wrong")
	line("")
	line("Written from the tables in `engine/fault/policy`: `go test ./engine/fault/policy -run TestDocs -update`. " +
		"Every fault gets one class; the class decides what")
	line("is done. `mailcote errors` lists what happened, " +
		"`mailcote errors --group` lists each problem once. The server's own words are always shown.")
	line("")
	line("## The decision")
	line("")
	line("```mermaid")
	line("flowchart TD")
	line(`  fault["a task ended with an error"] --> ours{"ours?"}`)
	line(`  ours -- "a panic, or nothing known" --> bug`)
	line(`  ours -- "the store or the disk" --> storage`)
	line(`  ours -- "the encryption, the certificate" --> tls`)
	line(`  ours -- "no answer in time" --> timeout`)
	line(`  ours -- "the line broke" --> network`)
	line(`  ours -- "bytes that are no IMAP, contradictions" --> protocol`)
	line(`  ours -- "NO, BAD or BYE" --> words{"known words?"}`)
	line(`  words -- yes --> row["the row's class"]`)
	line(`  words -- no --> code{"known response code?"}`)
	line(`  code -- yes --> row`)
	line(`  code -- no --> place{"where did it come?"}`)
	line(`  place -- "BYE" --> network`)
	line(`  place -- "while signing in" --> auth`)
	line(`  place -- "while opening a mailbox (NO)" --> mailbox`)
	line(`  place -- "while fetching messages" --> parsing`)
	line(`  place -- "elsewhere" --> protocol`)
	for _, p := range Policies() {
		line("  %s --> %s", p.Class, p.Do)
	}
	line(`  %s["the account waits for its user"]`, Pause)
	line(`  %s["the task is tried again until it succeeds"]`, Retry)
	line(`  %s["the task is tried again, then it fails"]`, Limit)
	line(`  %s["the mailboxes are listed again, once"]`, Relist)
	line("```")
	line("")
	line("## The classes")
	line("")
	line("In addition to the least wait below there is always the backoff: full jitter over 1, 2, 4, 8, 16, 30 s, " +
		"then 30 s to 15 min. It starts")
	line("again only after useful work. `ACCOUNT` is the account's name, `URL` its URL without a password.")
	line("")
	line("| class | scope | policy | least wait | what the user sees |")
	line("|---|---|---|---|---|")
	for _, p := range Policies() {
		line("| %s | %s | %s: %s | %s | %s |", p.Class, p.Scope, does(p.Do, p.Tries, ""), p.Why, span(p.Wait),
			shows(p.Shows))
	}
	line("")
	line("## Words of servers")
	line("")
	line("Looked for, in any case of letters, in the text after the response code of NO, BAD and BYE. " +
		"The first that matches counts; `…` stands for anything.")
	line("A row without a place never makes a sign-in more than a limit, a broken line or a refusal, and never makes " +
		"a fetch a defect.")
	line("Where the scope is account\\*, words said in one mailbox are about that mailbox (class mailbox, fail after "+
		"%d), until a", OfMailbox(Wait{}).Tries)
	line("second one says them too with no useful work in between. The only mailbox of an account speaks for it.")
	line("Microsoft's `Suggested Backoff Time: N milliseconds` lengthens the wait, at most to 12 h.")
	line("")
	line("| text | who | status | while | class | scope | policy | least wait | what the user sees |")
	line("|---|---|---|---|---|---|---|---|---|")
	for _, r := range Texts() {
		text := "`" + r.Text + "`"
		switch r.Code {
		case "":
		case none:
			text += " without a code"
		default:
			text = "`[" + r.Code + "]` " + text
		}
		line("| %s | %s | %s", text, r.Who, cells(r))
	}
	line("")
	line("## Response codes")
	line("")
	line("For answers whose words are not known. A code that is not here says nothing about the class: the place " +
		"decides.")
	line("NO [NOPERM] to the sync of a mailbox is no fault: the mailbox is shown as not readable and asked for " +
		"once a day.")
	line("")
	line("| code | status | while | class | scope | policy | least wait | what the user sees |")
	line("|---|---|---|---|---|---|---|---|")
	for _, r := range Codes() {
		line("| %s | %s", r.Code, cells(r))
	}
	return b.String()
}

// cells are the columns that both tables have.
func cells(r Row) string {
	v, words := r.base(), r.Hint
	if words == "" {
		words = PolicyOf(r.Class).Shows
	}
	scope := r.Scope
	if r.Local {
		scope += `\*`
	}
	return fmt.Sprintf("%s | %s | %s | %s | %s | %s | %s |", or(r.Type, "any"), or(string(r.On), "any"), r.Class, scope,
		does(v.Do, v.Tries, v.Then), span(v.Wait), shows(words))
}

func does(do Action, tries int, then class.Class) string {
	words := string(do)
	if do == Limit {
		words = "fail after " + strconv.Itoa(tries)
	}
	if then != "" {
		words += ", " + string(then) + " after " + strconv.Itoa(tries)
	}
	return words
}

func span(w Wait) string {
	if w.Floor == 0 {
		return "–"
	}
	words := short(w.Floor)
	if w.Factor > 1 && w.Cap > w.Floor {
		words += ", ×" + strconv.Itoa(w.Factor) + " up to " + short(w.Cap)
	}
	return words
}

func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h", d/time.Hour)
}

func shows(words string) string {
	return strings.NewReplacer("{account}", "ACCOUNT", "{url}", "URL", "{starttls}", "imap+starttls://USER@HOST:PORT",
		"{imaps}", "imaps://USER@HOST:993", "{set starttls}", "mailcote account set ACCOUNT --security starttls",
		"{set imaps}", "mailcote account set ACCOUNT --security tls --port 993").Replace(words)
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
