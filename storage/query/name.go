package query

import "strings"

// Name is what in: and account: ask for.
type Name struct {
	Text   string // as written, without the asterisk
	Prefix bool   // it may go on
}

// Mailbox reports whether a mailbox is meant: by its path, by the last part of
// it, or by its role. spam is the role junk, bin is trash, anywhere every
// mailbox. Case, width and marks do not count.
func (n Name) Mailbox(path, delimiter, role string) bool {
	want := foldName(n.Text)
	switch want {
	case "anywhere":
		return true
	case "spam":
		want = "junk"
	case "bin":
		want = "trash"
	}
	if role != "" && strings.EqualFold(role, want) || n.is(path) {
		return true
	}
	if delimiter == "" {
		return false
	}
	at := strings.LastIndex(path, delimiter)
	return at >= 0 && n.is(path[at+len(delimiter):])
}

// Account reports whether an account is meant: by its name, its user, or
// user@host.
func (n Name) Account(name, user, host string) bool {
	return n.is(name) || user != "" && (n.is(user) || n.is(user+"@"+host))
}

func (n Name) is(name string) bool {
	if n.Prefix {
		return strings.HasPrefix(foldName(name), foldName(n.Text))
	}
	return foldName(name) == foldName(n.Text)
}

// foldName folds letters as the index does. What separates words stays.
func foldName(s string) string {
	var b strings.Builder
	letters(s, func(r rune, start, end int) bool {
		if r == ' ' {
			b.WriteString(s[start:end])
		} else {
			b.WriteRune(r)
		}
		return true
	})
	return b.String()
}
