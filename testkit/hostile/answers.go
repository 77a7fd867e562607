package hostile

import (
	"fmt"
	"regexp"
	"strings"
)

// swap replaces what a pattern matches.
func swap(pattern, by string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(line string) string { return re.ReplaceAllString(line, by) }
}

// drop leaves out lines that match.
func drop(pattern string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(line string) string {
		if re.MatchString(line) {
			return ""
		}
		return line
	}
}

// fetches spoil the answers to UID FETCH.
func fetches() []Script {
	var all []Script
	for _, r := range []struct {
		name    string
		p       Place
		rewrite func(string) string
		harm    Harm
		lies    bool
	}{
		{"FLAGS NIL", Body, swap(`FLAGS \([^)]*\)`, "FLAGS NIL"), Nothing, true},
		{"quoted flags", Body, swap(`FLAGS \([^)]*\)`, `FLAGS ("\\Seen" "$$x")`), Nothing, true},
		{"flags twice", Body, swap(`FLAGS \([^)]*\)`, `FLAGS (\Seen \SEEN \seen $$x $$X)`), Nothing, true},
		{"flags with brackets", Body, swap(`FLAGS \([^)]*\)`, `FLAGS (\Seen [x] {y} %z *)`), Inbox, true},
		{"no flags", Body, swap(` FLAGS \([^)]*\)`, ""), Inbox, true},
		{"5000 flags", Body, swap(`FLAGS \([^)]*\)`, "FLAGS ("+strings.Repeat("$$f ", 5000)+")"), Inbox, true},
		{"nested flags", Body, swap(`FLAGS \([^)]*\)`, `FLAGS ((\Seen))`), Inbox, true},
		{"flags without an end", Body, swap(`FLAGS \([^)]*\)`, `FLAGS (\Seen`), Inbox, true},
		{"no UID", Body, swap(`UID \d+ `, ""), Inbox, false},
		{"UID 0", Body, swap(`UID \d+`, "UID 0"), Inbox, false},
		{"UID -1", Body, swap(`UID \d+`, "UID -1"), Inbox, false},
		{"UID 2^32", Body, swap(`UID \d+`, "UID 4294967296"), Inbox, false},
		{"UID 2^64", Body, swap(`UID \d+`, "UID 18446744073709551617"), Inbox, false},
		{"UID in quotes", Body, swap(`UID (\d+)`, `UID "$1"`), Inbox, false},
		{"UID NIL", Body, swap(`UID \d+`, "UID NIL"), Inbox, false},
		{"UID of no message", Body, swap(`UID \d+`, "UID 4294967295"), Inbox, false},
		{"UID twice", Body, swap(`UID (\d+)`, "UID $1 UID $1"), Nothing, false},
		{"sequence number 0", Body, swap(`^\* \d+ FETCH`, "* 0 FETCH"), Nothing, false},
		{"sequence number 2^33", Body, swap(`^\* \d+ FETCH`, "* 8589934592 FETCH"), Inbox, false},
		{"no sequence number", Body, swap(`^\* \d+ FETCH`, "* FETCH"), Inbox, false},
		{"lower case", Body, swap(`FETCH`, "fetch"), Nothing, false},
		{"two spaces", Body, swap(` (FLAGS|UID|INTERNALDATE|BODY)`, "  $1"), Nothing, false},
		{"tabs", Body, swap(` (FLAGS|BODY)`, "\t$1"), Inbox, false},
		{"no INTERNALDATE", Body, swap(`INTERNALDATE "[^"]*" ?`, ""), Nothing, false},
		{"INTERNALDATE NIL", Body, swap(`INTERNALDATE "[^"]*"`, "INTERNALDATE NIL"), Nothing, false},
		{"INTERNALDATE of Domino", Body, swap(`INTERNALDATE "[^"]*"`, `INTERNALDATE "00-Jan-0000 00:00:00 +0000"`),
			Nothing, false},
		{"INTERNALDATE of IceWarp", Body, swap(`INTERNALDATE "[^"]*"`, `INTERNALDATE "30-Dec-1899 00:00:00 +0000"`),
			Nothing, false},
		{"INTERNALDATE in the year 9999", Body, swap(`INTERNALDATE "[^"]*"`,
			`INTERNALDATE "31-Dec-9999 23:59:60 -1200"`), Nothing, false},
		{"INTERNALDATE without an end", Body, swap(`INTERNALDATE "[^"]*"`, `INTERNALDATE "01-Jan-2024`), Inbox, false},
		{"MODSEQ 0", InInbox, swap(`MODSEQ \(\d+\)`, "MODSEQ (0)"), Nothing, false},
		{"MODSEQ -1", InInbox, swap(`MODSEQ \(\d+\)`, "MODSEQ (-1)"), Nothing, false},
		{"MODSEQ 2^63", InInbox, swap(`MODSEQ \(\d+\)`, "MODSEQ (9223372036854775808)"), Nothing, false},
		{"MODSEQ 2^63-1", InInbox, swap(`MODSEQ \(\d+\)`, "MODSEQ (9223372036854775807)"), Nothing, false},
		{"MODSEQ without a list", InInbox, swap(`MODSEQ \((\d+)\)`, "MODSEQ $1"), Nothing, false},
		{"MODSEQ NIL", InInbox, swap(`MODSEQ \(\d+\)`, "MODSEQ NIL"), Nothing, false},
		{"MODSEQ without an end", InInbox, swap(`MODSEQ \(\d+\)`, "MODSEQ (1"), Inbox, false},
		{"unknown items", Body, swap(` BODY\[\]`, ` X-FOO ((1 "2" {3}`+"\r\n"+`abc) NIL) X-BAR "b" BODY[]`), Nothing,
			false},
		{"lists nested 1000 deep", Body, swap(` BODY\[\]`, " X-DEEP "+strings.Repeat("(", 1000)+strings.Repeat(")",
			1000)+" BODY[]"), Inbox, false},
		{"lists nested 90 deep", Body, swap(` BODY\[\]`, " X-DEEP "+strings.Repeat("(", 90)+strings.Repeat(")",
			90)+" BODY[]"), Nothing, false},
		{"an ENVELOPE of nonsense", Body, swap(` BODY\[\]`,
			` ENVELOPE (NIL NIL ((NIL NIL "undisclosed-recipients" NIL)) 1.5) BODY[]`), Nothing, false},
		{"BODY[] missing", Body, swap(` BODY\[\] \{\d+\}`, ""), Inbox, false},
		{"BODY[] without a value", Body, swap(` BODY\[\] \{\d+\}`, " BODY[]"), Inbox, false},
		{"BODY[] as RFC822", Body, swap(`BODY\[\]`, "RFC822"), Nothing, false},
		{"BODY[TEXT] in its place", Body, swap(`BODY\[\]`, "BODY[TEXT]"), Inbox, false},
		{"BODY[]<0> in its place", Body, swap(`BODY\[\]`, "BODY[]<0>"), Inbox, false},
		{"a section without an end", Body, swap(`BODY\[\]`, "BODY["), Inbox, false},
		{"literal8", Body, swap(`\{(\d+)\}$`, "~{$1}"), Nothing, false},
		{"literal {n+}", Body, swap(`\{(\d+)\}$`, "{$1+}"), Nothing, false},
		{"literal {+n}", Body, swap(`\{(\d+)\}$`, "{+$1}"), Inbox, false},
		{"literal {-1}", Body, swap(`\{(\d+)\}$`, "{-1}"), Inbox, false},
		{"literal {}", Body, swap(`\{(\d+)\}$`, "{}"), Inbox, false},
		{"literal { n}", Body, swap(`\{(\d+)\}$`, "{ $1}"), Inbox, false},
		{"literal {00n}", Body, swap(`\{(\d+)\}$`, "{00$1}"), Nothing, false},
		{"literal {0}", Body, swap(`\{(\d+)\}$`, "{0}"), Inbox, true},
		{"literal {nx}", Body, swap(`\{(\d+)\}$`, "{${1}x}"), Inbox, false},
		{"literal of 2^40", Body, swap(`\{(\d+)\}$`, "{1099511627776}"), Inbox, false},
		{"literal of 2^63", Body, swap(`\{(\d+)\}$`, "{9223372036854775808}"), Inbox, false},
		{"literal of 2^64+n", Body, swap(`\{(\d+)\}$`, "{18446744073709551716}"), Inbox, false},
		{"literal and text behind it", Body, swap(`\{(\d+)\}$`, "{$1} x"), Inbox, false},
		{"no closing parenthesis", Body, swap(`^\)$`, " "), Inbox, false},
		{"two closing parentheses", Body, swap(`^\)$`, "))"), Inbox, false},
		{"spaces behind", Body, swap(`^\)$`, ")   "), Nothing, false},
		{"bare line ends", Flags, swap(`\)$`, ")\n* OK bare"), Nothing, false},
		{"empty lines between", InInbox, swap(`^\*`, "\r\n\r\n*"), Nothing, false},
		{"NULs between", InInbox, swap(`^\*`, "\x00\x00*"), Nothing, false},
		{"the flags of others", Flags, swap(`UID \d+ FLAGS`, "UID 1 FLAGS"), Nothing, true},
		{"flags answered with nothing", Flags, drop(`FETCH`), Nothing, true},
		{"tagged in lower case", InInbox, swap(`^(m\d+) OK`, "$1 ok"), Nothing, false},
		{"another tag", InInbox, swap(`^m\d+ `, "zz "), Inbox, false},
		{"a tag of the future", InInbox, swap(`^m(\d+) `, "m${1}99 "), Inbox, false},
		{"an early tag", InInbox, swap(`^(m\d+) OK`, "m1 OK\r\n$1 OK"), Nothing, false},
		{"tagged twice", InInbox, swap(`^(m\d+) OK.*`, "$1 OK one\r\n$1 NO two"), Nothing, false},
		{"tagged BYE", InInbox, swap(`^(m\d+) OK`, "$1 BYE"), Inbox, false},
		{"tagged nonsense", InInbox, swap(`^(m\d+) OK`, "$1 PERHAPS"), Inbox, false},
		{"only a tag", InInbox, swap(`^(m\d+) OK.*`, "$1"), Inbox, false},
	} {
		all = append(all, Script{Name: "fetch/" + r.name, Harm: r.harm, Lies: r.lies,
			Mix: []Mixin{Say(r.p, r.rewrite)}})
	}
	return all
}

// listings spoil what UID SEARCH and EXAMINE say.
func listings() []Script {
	var all []Script
	add := func(caps, name string, p Place, harm Harm, rewrite func(string) string) {
		all = append(all, Script{Name: fmt.Sprintf("%s/%s", p, name), Capabilities: caps, Harm: harm,
			Mix: []Mixin{Say(p, rewrite)}})
	}
	for name, by := range map[string]string{
		"empty": "* SEARCH", "the last missing": "* SEARCH $front", "the first missing": "* SEARCH $back",
		"one too many": "* SEARCH $all 99999",
		"UID 0":        "* SEARCH 0 $back", "2^32": "* SEARCH $front 4294967296",
		"2^64": "* SEARCH $front 18446744073709551617", "negative": "* SEARCH $front -5",
		"letters": "* SEARCH $front abc", "commas": "* SEARCH 1,2,3", "a range": "* SEARCH 1:4294967295",
		"a star": "* SEARCH *",
		"a list": "* SEARCH ($all)", "quotes": `* SEARCH "$all"`, "NIL": "* SEARCH NIL", "no answer": "",
		"only untagged OK": "* OK SEARCH",
	} {
		add(Bare, name, Search, Inbox, search(by))
	}
	for name, by := range map[string]string{
		"all twice": "* SEARCH $all $all", "in two lines": "* SEARCH $front\r\n* SEARCH $last",
		"MODSEQ behind": "* SEARCH $all (MODSEQ 5)",
		"backwards":     "* SEARCH $last $front", "spaces": "*  SEARCH   $all   ",
		"the first twice": "* SEARCH $first $all",
	} {
		add(Bare, name, Search, Nothing, search(by))
	}
	for name, by := range map[string]string{
		"ALL of everything": "UID ALL 1:4294967295", "ALL 1:*": "UID ALL 1:*", "ALL *": "UID ALL *",
		"ALL upside down": "UID ALL 4294967295:1",
		"no ALL":          "UID", "no UID": "ALL $1", "COUNT only": "UID COUNT 9", "ALL NIL": "UID ALL NIL",
		"ALL with letters": "UID ALL x:y", "ALL of 0": "UID ALL 0",
		"an open range": "UID ALL 5:", "ALL nothing": "UID ALL ", "commas": "UID ALL ,,,",
	} {
		add(Unlisted, name, Search, Inbox, swap(`UID ALL (.*)$`, by))
	}
	add(Unlisted, "COUNT before", Search, Nothing, swap(`UID ALL`, "UID COUNT 5 MIN 1 MAX 9 X-FOO (a b) ALL"))
	add(Unlisted, "another's tag", Search, Inbox, swap(`TAG "m\d+"`, `TAG "m0"`))
	add(Unlisted, "no tag", Search, Nothing, swap(`\(TAG "m\d+"\) `, ``))
	for name, rewrite := range map[string]func(string) string{
		"no EXISTS": drop(`EXISTS`), "one too many": swap(`^\* \d+ EXISTS`, "* 9999 EXISTS"),
		"none":           swap(`^\* \d+ EXISTS`, "* 0 EXISTS"),
		"EXISTS 2^32":    swap(`^\* \d+ EXISTS`, "* 4294967296 EXISTS"),
		"EXISTS -1":      swap(`^\* \d+ EXISTS`, "* -1 EXISTS"),
		"EXISTS twice":   swap(`^(\* \d+ EXISTS)`, "* 3 EXISTS\r\n* 7 EXISTS"),
		"no UIDVALIDITY": drop(`UIDVALIDITY`), "UIDVALIDITY 0": swap(`UIDVALIDITY \d+`, "UIDVALIDITY 0"),
		"UIDVALIDITY 2^32": swap(`UIDVALIDITY \d+`, "UIDVALIDITY 4294967296"),
		"UIDVALIDITY x":    swap(`UIDVALIDITY \d+`, "UIDVALIDITY x"),
		"UIDVALIDITY -1":   swap(`UIDVALIDITY \d+`, "UIDVALIDITY -1"),
	} {
		add("", name, Open, Inbox, rewrite)
	}
	for name, rewrite := range map[string]func(string) string{
		"no UIDNEXT": drop(`UIDNEXT`), "UIDNEXT 0": swap(`UIDNEXT \d+`, "UIDNEXT 0"),
		"UIDNEXT 1": swap(`UIDNEXT \d+`, "UIDNEXT 1"), "UIDNEXT x": swap(`UIDNEXT \d+`, "UIDNEXT x"),
		"UIDNEXT 2^32-1":     swap(`UIDNEXT \d+`, "UIDNEXT 4294967295"),
		"HIGHESTMODSEQ 0":    swap(`HIGHESTMODSEQ \d+`, "HIGHESTMODSEQ 0"),
		"HIGHESTMODSEQ -1":   swap(`HIGHESTMODSEQ \d+`, "HIGHESTMODSEQ -1"),
		"HIGHESTMODSEQ 1":    swap(`HIGHESTMODSEQ \d+`, "HIGHESTMODSEQ 1"),
		"HIGHESTMODSEQ 2^63": swap(`HIGHESTMODSEQ \d+`, "HIGHESTMODSEQ 9223372036854775808"),
		"NOMODSEQ":           swap(`HIGHESTMODSEQ \d+`, "NOMODSEQ"), "no text": swap(`(HIGHESTMODSEQ \d+\]).*`, "$1"),
		"no FLAGS":           drop(`FLAGS`),
		"UIDVALIDITY 2^32-1": swap(`UIDVALIDITY \d+`, "UIDVALIDITY 4294967295"),
	} {
		add("", name, Open, Nothing, rewrite)
	}
	return all
}

// search rewrites the line of a SEARCH. $all, $first, $last, $front (all but
// the last) and $back (all but the first) stand for UIDs.
func search(by string) func(string) string {
	return func(line string) string {
		if !strings.HasPrefix(line, "* SEARCH") {
			return line
		}
		uids := strings.Fields(line)[2:]
		if len(uids) == 0 {
			return line
		}
		n := len(uids) - 1
		return strings.NewReplacer("$all", strings.Join(uids, " "), "$first", uids[0], "$last", uids[n],
			"$front", strings.Join(uids[:n], " "), "$back", strings.Join(uids[1:], " ")).Replace(by)
	}
}
