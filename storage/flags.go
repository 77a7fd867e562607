package storage

import (
	"slices"
	"strings"
)

// systemFlags are RFC 9051 §2.3.2's, by their lower-case form.
func systemFlag(lower string) (string, bool) {
	switch lower {
	case `\seen`:
		return `\Seen`, true
	case `\answered`:
		return `\Answered`, true
	case `\flagged`:
		return `\Flagged`, true
	case `\deleted`:
		return `\Deleted`, true
	case `\draft`:
		return `\Draft`, true
	}
	return "", false
}

// canonicalFlags drops \Recent, empty words and duplicates (compared without case), cuts a hostile flag at white space
// and control characters, and sorts the rest bytewise.
func canonicalFlags(flags []string) Flags {
	kept := make([]string, 0, len(flags))
	for _, flag := range flags {
		if strings.ContainsFunc(flag, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			flag = strings.Map(dropControl, flag)
		}
		if flag == "" || strings.EqualFold(flag, `\Recent`) {
			continue
		}
		if flag[0] == '\\' {
			if system, ok := systemFlag(strings.ToLower(flag)); ok {
				flag = system
			}
		}
		if !slices.ContainsFunc(kept, func(k string) bool { return strings.EqualFold(k, flag) }) {
			kept = append(kept, flag)
		}
	}
	slices.Sort(kept)
	return Flags(strings.Join(kept, " "))
}

func dropControl(r rune) rune {
	if r <= ' ' || r == 0x7f {
		return -1
	}
	return r
}
