package engine

import (
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/testkit/child"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

// extreme is a server that says the largest numbers in one kind of response about INBOX, for as long as the
// client listens.
type extreme struct {
	name   string
	before bool // INBOX is synced before it begins
	exists int  // 0: the truth
	raw    func(c script.Command, w io.Writer) bool
	caps   string
	whole  bool // it is the account's trouble: other mailboxes are not asked of it
}

// says adds responses before the right answer to a command, or after each EXAMINE of INBOX.
func says(name string, lines func(w io.Writer)) func(script.Command, io.Writer) bool {
	return func(c script.Command, w io.Writer) bool {
		if c.Name == name && (name != "EXAMINE" || strings.Contains(c.Args, "INBOX")) &&
			(c.Box == "" || c.Box == "INBOX") {
			lines(w)
		}
		return false
	}
}

// floods writes a line over and over, until the client has enough of it.
func floods(most int, format string) func(io.Writer) {
	return func(w io.Writer) {
		for i := range most {
			var args []any
			for range strings.Count(format, "%") {
				args = append(args, i+1)
			}
			if _, err := fmt.Fprintf(w, format+"\r\n", args...); err != nil {
				return
			}
		}
	}
}

func extremes() []extreme {
	const huge, octets = 4294967295, "9223372036854775807"
	flood, scale := 30_000, 1
	if form.Long() {
		flood = 1 << 30
	}
	if form.Race { // it watches every octet; the sizes are for the memory, which is not measured then
		flood, scale = 3000, 20
	}
	messages := plan.DefaultCaps().Messages / scale
	some := 2000 // more than are set aside
	if form.Long() {
		some = messages
	}
	keywords := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " $%%[1]d-%d", i)
		}
		return b.String()[1:]
	}
	holes := func(w io.Writer, n int, between string) {
		var b []byte
		for i := range n {
			b = strconv.AppendInt(b, int64(huge-2*(n-i)), 10)
			if i == n-1 || len(b) > 10_000 {
				_, _ = w.Write(b)
				b = b[:0]
			}
			if i < n-1 {
				b = append(b, between...)
			}
		}
	}
	set := func(n int) func(script.Command, io.Writer) bool {
		return func(c script.Command, w io.Writer) bool {
			if c.Name != "UID SEARCH" || c.Box != "INBOX" {
				return false
			}
			_, _ = fmt.Fprintf(w, "* ESEARCH (TAG %q) UID ALL ", c.Tag)
			holes(w, n, ",")
			_, _ = fmt.Fprintf(w, "\r\n%s OK done\r\n", c.Tag)
			return true
		}
	}
	both := func(all ...func(script.Command, io.Writer) bool) func(script.Command, io.Writer) bool {
		return func(c script.Command, w io.Writer) bool {
			for _, one := range all {
				if one(c, w) {
					return true
				}
			}
			return false
		}
	}
	whole := lists("INBOX", fmt.Sprintf("1:%d", messages))
	return []extreme{
		{name: "EXISTS and ESEARCH", exists: huge, raw: lists("INBOX", "1:4294967295")},
		{name: "EXISTS and ESEARCH at the cap", exists: messages, raw: whole},
		{name: "ESEARCH alone", raw: lists("INBOX", "4294967295:1,1:*,*")},
		{name: "ESEARCH with holes", exists: 2_000_000 / scale, raw: set(2_000_000 / scale)},
		{name: "ESEARCH with more holes", exists: 2_800_000 / scale, raw: set(2_800_000 / scale)},
		{name: "SEARCH", caps: "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN", exists: 1_000_000 / scale,
			raw: says("UID SEARCH", func(w io.Writer) {
				_, _ = io.WriteString(w, "* SEARCH ")
				holes(w, 2_200_000/scale, " ")
				_, _ = io.WriteString(w, "\r\n")
			})},
		{name: "VANISHED", raw: says("UID SEARCH", floods(1000,
			"* VANISHED 1:4294967295\r\n* VANISHED (EARLIER) 1:*,1:*,4294967295:1"))},
		{name: "EXPUNGE", raw: says("UID SEARCH", floods(flood, "* 4294967295 EXPUNGE"))},
		{name: "EXISTS over and over", raw: says("NOOP", floods(flood, "* %d EXISTS"))},
		{name: "FETCH of ever new messages", before: true, raw: says("UID FETCH",
			floods(flood, `* %d FETCH (UID %d FLAGS ($%d) MODSEQ (`+octets+`))`))},
		{name: "FETCH of each listed message", exists: some,
			raw: both(lists("INBOX", fmt.Sprintf("1:%d", some)),
				says("UID FETCH", floods(flood/20, `* %d FETCH (UID %d FLAGS (\Seen) RFC822.SIZE `+octets+`)`)))},
		{name: "FETCH with other flags each time", before: true,
			raw: says("UID FETCH", floods(flood/100, "* %[1]d FETCH (UID 1 FLAGS ("+keywords(1000)+"))"))},
		{name: "FETCH with too many flags", raw: says("UID FETCH",
			floods(1, "* %[1]d FETCH (UID 1 FLAGS ("+keywords(50_000)+"))"))},
		{name: "FETCH of bodies that nobody asked for", raw: says("UID FETCH",
			floods(flood/50, "* %d FETCH (UID %d BODY[] {65536}\r\n"+strings.Repeat("x", 65536)+")"))},
		{name: "FETCH with numbers of every length", raw: says("UID FETCH", func(w io.Writer) {
			for _, n := range []string{"0", "4294967295", "4294967296", octets, "18446744073709551615",
				strings.Repeat("9", 10_000)} {
				_, _ = fmt.Fprintf(w,
					"* 1 FETCH (UID 1 RFC822.SIZE %s MODSEQ (%[1]s) INTERNALDATE "+
						"\"31-Dec-9999 23:59:60 -9959\" X-N %[1]s)\r\n", n)
				_, _ = fmt.Fprintf(w, "* %s FETCH (UID 1)\r\n* %[1]s EXPUNGE\r\n* %[1]s EXISTS\r\n", n)
			}
			_, _ = io.WriteString(w, "* 3 EXISTS\r\n")
		})},
		{name: "a literal of 2 GiB", whole: true, raw: says("UID FETCH", func(w io.Writer) {
			_, _ = io.WriteString(w, "* 1 FETCH (UID 1 BODY[] {2147483648}\r\nx")
		})},
		{name: "a literal of 2^63", raw: says("UID FETCH", func(w io.Writer) {
			_, _ = io.WriteString(w, "* 1 FETCH (UID 1 BODY[] {"+octets+"}\r\nx")
		})},
		{name: "LIST", whole: true, raw: says("LIST", floods(flood, `* LIST () "/" "Box %d"`))},
		{name: "LIST of long names", raw: says("LIST", floods(50,
			`* LIST () "/" "%d`+strings.Repeat("x", 10_000)+`"`))},
		{name: "STATUS", whole: true, raw: says("LIST", floods(flood,
			`* STATUS "Box %d" (MESSAGES 4294967295 UIDNEXT 4294967295 UIDVALIDITY 4294967295 HIGHESTMODSEQ `+
				octets+`)`))},
		{name: "STATUS of INBOX", raw: says("LIST", func(w io.Writer) {
			_, _ = io.WriteString(w,
				`* STATUS INBOX (MESSAGES 4294967295 UIDNEXT 4294967295 UIDVALIDITY 1 HIGHESTMODSEQ `+octets+")\r\n")
		})},
		{name: "response codes", raw: says("EXAMINE", floods(1000,
			"* OK [UIDNEXT 4294967295]\r\n* OK [HIGHESTMODSEQ "+octets+"]\r\n"+
				"* OK [APPENDLIMIT "+octets+"]\r\n* OK [UNSEEN 4294967295]\r\n"+
				"* OK [COPYUID 1 1:4294967295 1:4294967295]\r\n* OK [MODIFIED 1:4294967295]\r\n"+
				"* OK [PERMANENTFLAGS (\\* $%d)]\r\n* OK [ALERT] alert %[1]x"))},
		{name: "PERMANENTFLAGS", raw: says("EXAMINE", floods(10,
			"* FLAGS ("+strings.Repeat("$k ", 100_000/scale)+")\r\n* OK [PERMANENTFLAGS ("+
				strings.Repeat("$k ", 100_000/scale)+")] %d"))},
		{name: "MESSAGELIMIT", raw: both(lists("INBOX", "1:3"),
			says("UID FETCH", floods(1, "* OK [MESSAGELIMIT 1 4294967295] %d")))},
		{name: "CAPABILITY", raw: says("NOOP", floods(10, "* CAPABILITY "+strings.Repeat("X ", 400_000/scale)+"%d"))},
		{name: "ID", raw: says("ID", func(w io.Writer) {
			_, _ = io.WriteString(w, "* ID (")
			floods(20_000, `"k%d" "v%d"`)(lineless{w})
			_, _ = io.WriteString(w, ")\r\n")
		})},
		{name: "NAMESPACE and others that nobody asked for",
			raw: says("NOOP", floods(1000, `* NAMESPACE (("" "/"))`+strings.Repeat(`(("x" "/"))`,
				1000/scale)+"\r\n* QUOTA %d (STORAGE "+octets+" "+octets+")\r\n* 4294967295 RECENT"))},
	}
}

// lineless leaves out line ends.
type lineless struct{ io.Writer }

func (l lineless) Write(p []byte) (int, error) {
	_, err := io.WriteString(l.Writer, strings.ReplaceAll(string(p), "\r\n", " "))
	return len(p), err
}

// TestExtremeNumbers: the largest numbers in every kind of response cost at most 256 MiB of memory, the server's
// side of the test included, and no other mailbox, at a restart too.
func TestExtremeNumbers(t *testing.T) {
	const most = 256 << 20
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(most))
	limits, caps := imap.Limits{}, plan.Caps{}
	if !form.Long() {
		limits.Command, limits.Responses, caps.Aside = 16<<20, 20_000, 200
	}
	if form.Race {
		limits.Command, limits.Responses = 1<<20, 2000
	}
	for i, x := range extremes() {
		if form.Race && i%3 != 0 { // the sizes are for the memory, which is not measured then
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			limits := limits
			if x.whole {
				limits.Progress = patience / 5
			}
			s, w := scripted(t, 3, script.Options{Capabilities: x.caps}, Options{Limits: limits, caps: caps})
			if x.before {
				w.complete()
				put(s, "INBOX", 1)
			}
			put(s, "Other", 2)
			f := script.Faults{Raw: x.raw}
			if x.exists > 0 {
				f.Exists = announces("INBOX", x.exists)
			}
			s.Misbehave(f)
			child.ResetPeak()
			rounds := 1
			if form.Long() || i%3 == 0 {
				rounds = 2
			}
			for range rounds {
				sum := w.sync()
				t.Logf("%s %s, %d MiB", sum.Result, sum.Detail, child.Peak()>>20)
				if n := w.text(`SELECT count(*) FROM mail WHERE mailbox = 'Other'`); n != "2" && !x.whole {
					t.Errorf("%s messages in the other mailbox: %+v", n, sum)
				}
				w.restart()
			}
			if peak := child.Peak(); peak > most && !form.Race {
				t.Errorf("%d MiB", peak>>20)
			}
		})
	}
}
