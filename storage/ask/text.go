package ask

import (
	"errors"
	"fmt"
	"strings"
)

// oneStatement refuses an empty text, more than one statement (the driver would
// run them all), and VACUUM, about which SQLite asks no authorizer.
func oneStatement(text string) error {
	first, rest := cutStatement(text)
	word, _ := nextWord(first)
	switch {
	case word == "":
		return errors.New("sql: there is no statement")
	case strings.EqualFold(word, "VACUUM"):
		return fmt.Errorf("%w: VACUUM is refused", ErrRefused)
	}
	for rest != "" {
		first, rest = cutStatement(rest)
		if word, _ := nextWord(first); word != "" {
			return fmt.Errorf("sql: one statement at a time: something follows the first semicolon (%.20q)",
				strings.TrimSpace(first))
		}
	}
	return nil
}

// cutStatement cuts behind the first semicolon that is not inside quotes or a
// comment.
func cutStatement(text string) (first, rest string) {
	for i := 0; i < len(text); i++ {
		if text[i] == ';' {
			return text[:i], text[i+1:]
		}
		i += skip(text[i:])
	}
	return text, ""
}

// nextWord gives the first token that is neither space nor comment, up to the
// next space.
func nextWord(text string) (word, rest string) {
	for {
		text = strings.TrimLeft(text, " \t\r\n\f\v\ufeff")
		if !strings.HasPrefix(text, "--") && !strings.HasPrefix(text, "/*") {
			break
		}
		text = text[min(skip(text)+1, len(text)):]
	}
	if end := strings.IndexAny(text, " \t\r\n\f\v/-;("); end > 0 {
		return text[:end], text[end:]
	}
	return text, ""
}

// skip says how many bytes follow the first one of a quoted text or a comment
// at the head of text; 0 if there is none.
func skip(text string) int {
	end := func(from int, mark string) int {
		if i := strings.Index(text[from:], mark); i >= 0 {
			return from + i + len(mark) - 1
		}
		return len(text) - 1
	}
	switch {
	case text[0] == '\'' || text[0] == '"' || text[0] == '`': // a doubled quote is two quoted texts side by side
		return end(1, text[:1])
	case text[0] == '[':
		return end(1, "]")
	case strings.HasPrefix(text, "--"):
		return end(2, "\n")
	case strings.HasPrefix(text, "/*"):
		return end(2, "*/")
	}
	return 0
}
