package owner

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// RefusedError says why a file of the store is not used as it is, and what a
// person can do about it. One line.
type RefusedError struct {
	Path   string // the file or directory at fault
	Reason string // follows the path: "is a symbolic link"
	Advice string // an imperative
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s %s: %s", printable(e.Path), e.Reason, e.Advice)
}

func refuse(path, reason, advice string) error {
	return &RefusedError{Path: path, Reason: reason, Advice: advice}
}

// printable gives a path as a person may paste it: quoted only when it has to
// be, never with control characters.
func printable(path string) string {
	odd := func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.IsSpace(r) || strings.ContainsRune("\"'\\$`&|;<>()*?[]{}!#~", r)
	}
	if strings.ContainsFunc(path, odd) {
		return strconv.Quote(path)
	}
	return path
}
