package cli

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mailcote/engine"
	"mailcote/ui/cli/voice"
)

// Answer says what a command prints with --json, besides the error that ends
// any command.
type Answer struct {
	Command string // without "mailcote"
	Says    string // how many objects, and in which order
	Objects []any  // a value of each type of object
}

// Answers are the answers of every command. docs/json.md is written from it. A
// new type of object is a value here and a line in testdata/json/examples.jsonl.
func Answers() []Answer {
	return []Answer{
		{"account add", "The steps of the sign-in, then the account.", []any{stepView{}, addedAccount{}}},
		{"account list", "One object an account.", []any{standingAccount{}}},
		{"account pause", "One object for each account named.", []any{accountView{}}},
		{"account remove", "One object.", []any{removedView{}}},
		{"account rename", "The account as it is now.", []any{accountView{}}},
		{"account resume", "One object for each account named.", []any{accountView{}}},
		{"account set", "The account as it is now.", []any{accountView{}}},
		{"account show", "One object.", []any{shownAccount{}}},
		{"account test", "One object a step, in order. The first that fails is the last.", []any{stepView{}}},
		{"backup", "One object.", []any{storeCopyView{}}},
		{"check", "One object for each thing that is wrong, or one that says that the store is sound. With " +
			"`--salvage` what was saved. With `--repair` what is left, an error for each account that " +
			"could not be compared, and last what was mended. With `--rebuild` what was made again.",
			[]any{findingView{},
				checkView{}, salvagedView{}, repairView{}, rebuildView{}}},
		{"demo", "What `run` prints, and the summary of the first sync.",
			[]any{readyView{}, summaryView{}, stateView{}, passView{}, faultView{}}},
		{"errors", "One object an error, the newest first. With `--group` one a problem.",
			[]any{faultView{}, problemView{}}},
		{"errors quarantine", "One object a message.", []any{heldView{}}},
		{"errors raw", "One object.", []any{rawView{}}},
		{"errors retry", "One object for each message that is tried.", []any{heldView{}}},
		{"export", "One object.", []any{exportView{}}},
		{"mailbox list", "One object a mailbox.", []any{mailboxView{}}},
		{"mailbox set", "The mailbox as it is now.", []any{mailboxView{}}},
		{"queue list", "One object a task.", []any{taskView{}}},
		{"queue show", "One object.", []any{taskView{}}},
		{"queue cancel", changedTasks, []any{taskView{}}},
		{"queue pause", changedTasks, []any{taskView{}}},
		{"queue priority", changedTasks, []any{taskView{}}},
		{"queue resume", changedTasks, []any{taskView{}}},
		{"queue retry", changedTasks, []any{taskView{}}},
		{"man", "One object.", []any{writtenView{}}},
		{"restore", "One object.", []any{storeCopyView{}}},
		{"run", "A stream of events, one object a line, each written at once, until Ctrl-C. The first is `ready`. " +
			"A `state` is printed for each account at the start and whenever it changes, a `pass` when one has " +
			"ended, an `error` for each that is recorded, and with `--mail` a `mail` for each message that is " +
			"stored, also in the first pass. What a pass brought comes before it.",
			[]any{readyView{}, stateView{}, passView{}, faultView{}, mailView{}, salvagedView{}}},
		{"search", "One object a message, the newest first.", []any{hitView{}}},
		{"show", "One object. With `--links` one a link, with `--save` one for each file that was written.",
			[]any{messageView{}, linkView{}, fileView{}}},
		{"sql", "One object a row. Its keys are the columns of the query, and it has no `type`. BLOBs are in hex.",
			nil},
		{"status", "One object. With `--watch` one for each change, until Ctrl-C.", []any{statusView{}}},
		{"sync", "What was saved of a damaged store, the errors, and last one summary an account.",
			[]any{salvagedView{}, summaryView{}}},
		{"token", "One object. With `--link` a link and a code, as `run` prints them.",
			[]any{tokenView{}, readyView{}}},
		{"version", "One object.", []any{versionView{}}},
	}
}

const changedTasks = "One object for each task that was changed. One that was refused is an error."

// Contract checks what commands print.
type Contract struct{ describer }

// NewContract reads the sources.
func NewContract() Contract { return Contract{describer{map[string]map[string]string{}}} }

// CheckLine gives the Go type of a line that a command printed, or what is
// wrong with it.
func (c Contract) CheckLine(command, line string) (string, error) {
	i := slices.IndexFunc(Answers(), func(a Answer) bool { return a.Command == command })
	if i < 0 {
		return "", fmt.Errorf("%q is not among the answers", command)
	}
	v, err := decode(line)
	if err != nil {
		return "", err
	}
	row, ok := v.(map[string]any)
	if !ok {
		return "", fmt.Errorf("it is no object")
	}
	if command == "sql" && row["type"] != "error" {
		return "", nil
	}
	wrong := fmt.Errorf("mailcote %s prints no object of type %v", command, row["type"])
	for _, one := range append(Answers()[i].Objects, errorView{}) {
		o, err := c.object(reflect.TypeOf(one))
		if err != nil {
			return "", err
		}
		if err = o.check(v); err == nil {
			return o.of.Name(), nil
		}
		if kind, _ := row["type"].(string); o.is(kind) {
			wrong = err
		}
	}
	return "", wrong
}

// Types gives the Go types of all answers.
func Types() (all []string) {
	for _, a := range Answers() {
		for _, one := range a.Objects {
			all = append(all, reflect.TypeOf(one).Name())
		}
	}
	return all
}

// runnable gives the commands that do something, without those of cobra.
func runnable(c *cobra.Command) (all []string) {
	for _, one := range c.Commands() {
		all = append(all, runnable(one)...)
	}
	of := strings.TrimPrefix(c.CommandPath(), "mailcote")
	if c.Runnable() && !strings.HasSuffix(c.Use, "COMMAND") && !strings.HasPrefix(of, " completion") &&
		of != " help" {
		all = append(all, strings.TrimSpace(of))
	}
	return all
}

// TestEveryCommandAnswers: docs/json.md has every command, and no other.
func TestEveryCommandAnswers(t *testing.T) {
	commands := Commands()
	for _, c := range commands {
		if !slices.ContainsFunc(Answers(), func(a Answer) bool { return a.Command == c }) {
			t.Errorf("mailcote %s is not among the answers: see Answers", c)
		}
	}
	for _, one := range Answers() {
		if !slices.Contains(commands, one.Command) {
			t.Errorf("there is no mailcote %s", one.Command)
		}
	}
}

var update = flag.Bool("update", false, "write docs/json.md")

const (
	jsonDoc  = "../../docs/json.md"
	examples = "testdata/json/examples.jsonl"
)

// TestJSONDoc: docs/json.md says what the types say.
func TestJSONDoc(t *testing.T) {
	intro, err := os.ReadFile("testdata/json/intro.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(examples)
	if err != nil {
		t.Fatal(err)
	}
	w := writer{describer: NewContract().describer, told: map[reflect.Type]string{},
		lines: strings.Split(strings.TrimSpace(string(text)), "\n")}
	w.Write(intro)
	w.object("", errorView{})
	for _, a := range Answers() {
		fmt.Fprintf(&w, "\n## mailcote %s\n\n%s\n", a.Command, a.Says)
		for _, one := range a.Objects {
			w.object(a.Command, one)
		}
	}
	if w.err != nil {
		t.Fatal(w.err)
	}
	for i, line := range w.lines {
		if line != "" {
			t.Errorf("%s:%d is an example of nothing: %.80s", examples, i+1, line)
		}
	}
	if *update {
		if err := os.WriteFile(jsonDoc, w.Bytes(), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(jsonDoc); err != nil || string(got) != w.String() {
		t.Fatalf("docs/json.md is not what the types say: go test ./ui/cli -run TestJSONDoc -update (%v)", err)
	}
}

// writer writes docs/json.md.
type writer struct {
	bytes.Buffer
	describer describer
	lines     []string                // examples; "" is used up
	told      map[reflect.Type]string // where an object is described
	err       error
}

func (w *writer) object(command string, one any) {
	o, err := w.describer.object(reflect.TypeOf(one))
	if err != nil {
		w.err = cmpErr(w.err, err)
		return
	}
	if where, told := w.told[o.of]; told {
		fmt.Fprintf(w, "\n`%s`: see [mailcote %s](#mailcote-%s).\n", o.Type, where, strings.ReplaceAll(where, " ", "-"))
		return
	}
	w.told[o.of] = command
	w.table(command, o)
	fmt.Fprintf(w, "\n```json\n%s\n```\n", w.example(o))
}

// example takes the first example that fits an object.
func (w *writer) example(o *Object) string {
	for i, line := range w.lines {
		if v, err := decode(line); err == nil && o.check(v) == nil {
			w.lines[i] = ""
			return line
		}
	}
	w.err = cmpErr(w.err, fmt.Errorf("no example of %v: add one to %s", o.of, examples))
	return ""
}

// table describes an object, and then those inside it that are not described
// yet.
func (w *writer) table(command string, o *Object) {
	name := "`" + o.Type + "`"
	if o.Type == "" {
		name = "`" + strings.ToLower(o.of.Name()) + "`"
	}
	fmt.Fprintf(w, "\n%s\n\n| key | is | may be null | meaning |\n|---|---|---|---|\n", name)
	var inside []*Object
	for _, k := range o.Keys {
		null, is, says := "", k.kind, k.says
		if k.null {
			null = "null"
		}
		if k.maybe {
			null = "missing"
		}
		switch {
		case k.of != nil && k.of.of == nil:
			is = "list of " + k.of.Keys[0].kind + "s"
		case k.of != nil:
			inner := k.of.Type
			if inner == "" {
				inner = strings.ToLower(k.of.of.Name())
			}
			if is = "`" + inner + "`"; k.kind == "list" {
				is = "list of " + is
			}
			if _, told := w.told[k.of.of]; !told {
				w.told[k.of.of] = command
				inside = append(inside, k.of)
			}
		case k.kind == "any":
			is = "object"
		}
		fmt.Fprintf(w, "| `%s` | %s%s | %s | %s |\n", k.name, is, unit(k), null, strings.ReplaceAll(says, "|", `\|`))
	}
	for _, one := range inside {
		w.table(command, one)
	}
}

// unit is what a figure counts, by its key.
func unit(k objectKey) string {
	switch {
	case k.kind != "integer" && k.kind != "number":
		return ""
	case strings.HasSuffix(k.name, "seconds"), k.name == "wait":
		return ", seconds"
	case strings.HasSuffix(k.name, "bytes"), k.name == "size", k.name == "received", k.name == "claimed":
		return ", bytes"
	}
	return ""
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// Commands gives the commands that do something.
func Commands() []string {
	a := &app{voice: voice.New(os.Stdin, os.Stdout, os.Stderr)}
	return runnable(a.root())
}

// TestPassesNobodyReads: an agent whose output is not read keeps no more than the last passes.
func TestPassesNobodyReads(t *testing.T) {
	v := &events{}
	for i := range int64(tellMost + 5) {
		v.passed(engine.Summary{Fetched: i})
	}
	if n := len(v.passes); n != tellMost || v.passes[0].New != 5 || v.passes[n-1].New != tellMost+4 {
		t.Errorf("%d passes are kept, from %d to %d", n, v.passes[0].New, v.passes[n-1].New)
	}
}
