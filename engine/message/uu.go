package message

import (
	"bytes"
	"strconv"
	"strings"
)

// uuBegin reads the line before a uuencoded file, "begin 644 name" (POSIX.1
// uuencode).
func uuBegin(line []byte) (name string, ok bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimRight(line, " \t\r\n"), []byte("begin "))
	if !ok {
		return "", false
	}
	mode, file, ok := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	if file = bytes.TrimSpace(file); !ok || len(mode) < 3 || len(mode) > 4 || len(file) == 0 || len(file) > maxParam {
		return "", false
	}
	for _, c := range mode {
		if c < '0' || c > '7' {
			return "", false
		}
	}
	return string(file), true
}

// uuData appends the bytes of a line of a uuencoded file. Its first character
// tells how many they are. Blanks at the end of a line may have been lost, and
// some programs add a check sum.
func uuData(dst, line []byte) ([]byte, bool) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 || line[0] < ' ' || line[0] > '`' {
		return dst, false
	}
	n := int(line[0]-' ') & 63
	text := line[1:]
	need := (n + 2) / 3 * 4
	if len(text) > need+2 || len(text) < need && len(bytes.TrimRight(text, " ")) != len(text) {
		return dst, false
	}
	for _, c := range text {
		if c < ' ' || c > '`' {
			return dst, false
		}
	}
	at := func(i int) byte {
		if i < len(text) {
			return (text[i] - ' ') & 63
		}
		return 0
	}
	for i := 0; n > 0; i, n = i+4, n-3 {
		group := [3]byte{at(i)<<2 | at(i+1)>>4, at(i+1)<<4 | at(i+2)>>2, at(i+2)<<6 | at(i+3)}
		dst = append(dst, group[:min(n, 3)]...)
	}
	return dst, true
}

// uuFirst reports whether a line can be the first one after uuBegin. It must be
// complete, so that a letter with the word "begin" stays one.
func uuFirst(line []byte) bool {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) == 0 {
		return false
	}
	n := int(line[0]-' ') & 63
	if _, ok := uuData(nil, line); !ok {
		return false
	}
	return len(line)-1 >= (n+2)/3*4 || len(line) == 1 && n == 0
}

func uuEnd(line []byte) bool { return string(bytes.TrimRight(line, " \t\r\n")) == "end" }

// uuLine decodes a part whose whole content is a uuencoded file. Lines before it
// are dropped.
func (t *transfer) uuLine(dst []byte, eol string, line []byte) []byte {
	switch t.phase {
	case unsure:
		if name, ok := uuBegin(line); ok {
			t.name, t.phase, t.hold = name, inData, nil
			return dst
		}
		t.hold = append(append(t.hold, eol...), line...)
		if len(t.hold) > 4*maxHold {
			t.phase = notEncoded
			dst = append(dst, t.hold...)
			t.hold = nil
		}
		return dst
	case inData:
		if uuEnd(line) {
			t.phase = afterData
			return dst
		}
		dst, _ = uuData(dst, line)
		return dst
	case afterData:
		return dst
	}
	return append(append(dst, eol...), line...)
}

// uuScan finds uuencoded files in a text, as it comes, and takes them out.
type uuScan struct {
	mark  int // in the text: the first line that was not looked at
	start int // in the text: a line that may begin a file
	state uint8
	files int // found so far
	data  []byte
}

const (
	uuNone uint8 = iota
	uuMaybe
	uuOpen
)

// uuTaker gets the files: each one's name, then its bytes.
type uuTaker interface {
	uuFile(name string)
	uuBytes(b []byte)
}

// lines looks at the complete lines of a text, at the last one too if the text
// ends, and returns the text without files.
func (u *uuScan) lines(text []byte, end bool, to uuTaker) []byte {
	for u.mark < len(text) {
		next := len(text)
		if i := bytes.IndexByte(text[u.mark:], '\n'); i >= 0 {
			next = u.mark + i + 1
		} else if !end {
			break
		}
		line := text[u.mark:next]
		if u.state == uuMaybe {
			if name, _ := uuBegin(text[u.start:u.mark]); uuFirst(line) {
				u.files++
				u.state = uuOpen
				to.uuFile(name)
				text = append(text[:u.start], text[u.mark:]...)
				u.mark = u.start
				continue
			}
			u.state = uuNone
		}
		if u.state == uuOpen {
			ok := len(bytes.TrimSpace(line)) == 0
			if !ok {
				u.data, ok = uuData(u.data[:0], line)
				if uuEnd(line) {
					u.state, ok, u.data = uuNone, true, u.data[:0]
				}
				to.uuBytes(u.data)
			}
			if ok {
				text = append(text[:u.mark], text[next:]...)
				continue
			}
			u.state = uuNone // the rest of the file is missing
		}
		if line[0] == 'b' {
			if _, ok := uuBegin(line); ok {
				u.state, u.start = uuMaybe, u.mark
			}
		}
		u.mark = next
	}
	return text
}

// uuPath is the path of a file that stands in the text of a part. It is no IMAP
// part number, since IMAP knows no such parts.
func uuPath(part string, n int) string { return part + ".u" + strconv.Itoa(n) }

// cutUUPath splits uuPath.
func cutUUPath(path string) (part string, n int, ok bool) {
	part, digits, ok := strings.Cut(path, ".u")
	if !ok {
		return "", 0, false
	}
	n, err := strconv.Atoi(digits)
	return part, n, err == nil && n > 0 && uuPath(part, n) == path
}
