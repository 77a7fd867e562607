package export

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailcote/storage"
)

// unmbox reads an mbox file by the rules that mbox.go states: messages with what was added taken away again.
func unmbox(t testing.TB, text []byte) (messages [][]byte, heads []string) {
	t.Helper()
	var starts []int
	for i := 0; i < len(text); {
		if bytes.HasPrefix(text[i:], []byte("From ")) {
			starts = append(starts, i)
		}
		n := bytes.IndexByte(text[i:], '\n')
		if n < 0 {
			t.Fatalf("the last line does not end: %q", text[i:])
		}
		i += n + 1
	}
	if len(text) > 0 && (len(starts) == 0 || starts[0] != 0) {
		t.Fatalf("no From_ line at the beginning: %q", text[:min(len(text), 60)])
	}
	for i, start := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		one := text[start:end]
		var head strings.Builder
		for _, want := range []string{"From ", "Status: ", "X-Status: ", "X-Keywords: "} {
			line, rest, _ := bytes.Cut(one, []byte("\n"))
			if !bytes.HasPrefix(line, []byte(want)) {
				t.Fatalf("%q is no %q", line, want)
			}
			head.Write(append(line, '\n'))
			one = rest
		}
		var ok bool
		if one, ok = bytes.CutSuffix(one, []byte("\n\r\n")); !ok {
			if one, ok = bytes.CutSuffix(one, []byte("\n")); !ok || !bytes.HasSuffix(one, []byte("\n")) {
				t.Fatalf("no empty line at the end of %q", one)
			}
		}
		var raw []byte
		for line := range bytes.Lines(one) {
			if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
				line = line[1:]
			}
			raw = append(raw, line...)
		}
		messages, heads = append(messages, raw), append(heads, head.String())
	}
	return messages, heads
}

func mboxOf(t testing.TB, chunk int, messages ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	for _, m := range messages {
		out.WriteString(mboxHead(storage.Copy{InternalDate: time.Unix(0, 0)}))
		q := &quoter{w: out}
		for len(m) > 0 {
			n := min(chunk, len(m))
			if _, err := q.Write(m[:n]); err != nil {
				t.Fatal(err)
			}
			m = m[n:]
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// awkward are messages whose ends and lines mbox readers get wrong.
func awkward() [][]byte {
	var all [][]byte
	for _, one := range []string{"", "\n", "\r\n", "\r", "a", "a\n", "a\r\n", "a\n\n", "a\r\n\r\n", "a\n\r\n",
		"a\r", "a\r\n\r",
		"From ", "From", "Fro\nFrom \n", "From x\r\n", ">From x\n", ">>From ", ">>>>From x\r\n>", ">", ">>",
		"> From x\n",
		">F", ">>From", "\nFrom x\n", "\r\nFrom x\r\n", "a\rFrom x\n", "aFrom x\n", " From x\n", "from x\n",
		"FROM x\n", "From\tx\n",
		"Status: RO\nX-Status: AF\nX-Keywords: z\n\nb\n", "X-Keywords: \n", "From a\nStatus: O\n", "a\x00b\n",
		"\xff\xfe\n",
		"Subject: x\r\n\r\nFrom the start\r\n>From a reply\r\n>>From an older one\r\n\r\nFrom \r\n",
		strings.Repeat(">", 9000) + "From x",
		strings.Repeat("From x\n", 500), strings.Repeat("x", 70000) + "\nFrom y"} {
		all = append(all, []byte(one))
	}
	return all
}

// TestMboxIsReversible writes all awkward messages into one file, in pieces of several sizes, and reads them back.
func TestMboxIsReversible(t *testing.T) {
	all := awkward()
	for _, chunk := range []int{1, 2, 3, 4096, 1 << 20} {
		got, _ := unmbox(t, mboxOf(t, chunk, all...))
		if len(got) != len(all) {
			t.Fatalf("%d messages, want %d", len(got), len(all))
		}
		for i := range all {
			if !bytes.Equal(got[i], all[i]) {
				t.Errorf("chunks of %d: %.60q came back as %.60q", chunk, all[i], got[i])
			}
		}
	}
}

func FuzzMbox(f *testing.F) {
	for i, one := range awkward() {
		f.Add(one, []byte("From x\n"), 1+i%7)
	}
	f.Fuzz(func(t *testing.T, one, other []byte, chunk int) {
		got, _ := unmbox(t, mboxOf(t, max(chunk, 1), one, other, one))
		if len(got) != 3 || !bytes.Equal(got[0], one) || !bytes.Equal(got[1], other) || !bytes.Equal(got[2], one) {
			t.Errorf("%q, %q came back as %q", one, other, got)
		}
	})
}

func TestMboxHead(t *testing.T) {
	at := time.Date(2026, 3, 7, 23, 5, 9, 0, time.FixedZone("", 3600))
	for _, one := range []struct {
		flags storage.Flags
		want  string
	}{
		{"", "Status: O\nX-Status: \nX-Keywords: \n"},
		{`\Seen`, "Status: RO\nX-Status: \nX-Keywords: \n"},
		{storage.NewFlags([]string{`\Seen`, `\Deleted`, `\Answered`, `\Draft`, `\Flagged`, "$Forwarded", "Work",
			`\X`}),
			"Status: RO\nX-Status: AFDT\nX-Keywords: $Forwarded Work \\X\n"},
	} {
		if got := mboxHead(storage.Copy{InternalDate: at, Flags: one.flags}); got != fmt.Sprint(
			"From MAILER-DAEMON Sat Mar  7 22:05:09 2026\n", one.want) {
			t.Errorf("%q: %q", one.flags, got)
		}
	}
}
