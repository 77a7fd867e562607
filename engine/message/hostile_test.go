package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mailcote/testkit/form"
)

// within fails when f takes longer than the promise of 2 s a MiB, at least 1 s,
// in an ordinary build (the race detector costs it twenty times that). Waiting
// for the processor of a loaded machine does not count. What takes ten times
// the limit by the clock hangs, even if it only waits: the panic ends it and lets
// a fuzz run keep the input.
func within(t testing.TB, size int, f func()) {
	t.Helper()
	limit := max(time.Second, 2*time.Second*time.Duration(size>>10)/1024)
	hang := time.AfterFunc(10*limit, func() { panic("hangs") })
	defer hang.Stop()
	start, used := time.Now(), processor(t)
	f()
	if d := min(time.Since(start), processor(t)-used); d > limit && !form.Race {
		t.Errorf("%v for %d bytes, limit %v", d, size, limit)
	}
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

const mib = 1 << 20

func TestHostile(t *testing.T) {
	multi := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	for _, c := range []struct {
		name, raw string
		want      func(v View) bool
	}{
		{"depth 10k", many(10_000, "Content-Type: multipart/mixed; boundary=b%[1]d\r\n\r\n--b%[1]d\r\n") +
			"\r\ndeep\r\n",
			func(v View) bool { return v.Partial && len(v.Attachments) == 1 }},
		{"100k parts", multi + strings.Repeat("--b\r\n\r\nx\r\n", 100_000) + "--b--\r\n", func(v View) bool {
			return v.Partial && len(v.Text) > 10_000
		}},
		{"100k attachments", multi + strings.Repeat("--b\r\nContent-Type: a/b\r\n\r\nx\r\n", 100_000) + "--b--\r\n",
			func(v View) bool { return v.Partial && len(v.Attachments) == 1000 }},
		{"rfc822 chain", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10_000) + "Subject: in\r\n\r\nx",
			func(v View) bool {
				return v.Partial
			}},
		{"lines that look like boundaries, at depth",
			many(100, "Content-Type: multipart/mixed; boundary=bbbbbbbbb%[1]d\r\n\r\n--bbbbbbbbb%[1]d\r\n") +
				"\r\n" + strings.Repeat("--bbbbbbbbbX\n", mib/13),
			func(v View) bool { return len(v.Text) > mib/2 }},
		{"header line of 1 MiB", "Subject: " + strings.Repeat("x", mib) + "\r\n\r\nbody\r\n", func(v View) bool {
			return v.Text == "body" && v.Partial
		}},
		{"header line of 3 MiB in a part", multi + "--b\r\nX: " + strings.Repeat("x", 3*mib) +
			"\r\n\r\nbody\r\n--b--\r\n", func(v View) bool {
			return v.Text == "body"
		}},
		{"encoded words of 1 MiB", "Subject: " + strings.Repeat("=?utf-8?Q?=C3=A4?= ", mib/20) + "\r\n\r\nx",
			func(v View) bool {
				return strings.HasPrefix(v.Subject, "äää")
			}},
		{"open encoded words of 1 MiB in To", "To: " + strings.Repeat("=?a?q?x", mib/7) + "\r\n\r\nx",
			func(v View) bool {
				return v.Text == "x"
			}},
		{"two message ids", "Message-ID: <>\r\nMessage-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\n", func(v View) bool {
			return v.MessageID == "a@b"
		}},
		{"fields without end", strings.Repeat("To: a@b\r\n", mib/9) + "\r\nx", func(v View) bool {
			return len(v.To) == 1000
		}},
		{"50k recipients", "To: " + many(50_000, "a%d@example.org,\r\n ") + "z@x\r\n\r\nx", func(v View) bool {
			return len(v.To) == 1000 && v.Partial && v.To[999].Email == "a999@example.org"
		}},
		{"100k references", "References: " + many(100_000, "<%d@x>\r\n ") + "\r\n\r\nx", func(v View) bool {
			return len(v.References) == 1000 && v.References[0] == "0@x"
		}},
		{"references to itself", "Message-ID: <a@b>\r\nReferences: <a@b> <a@b>\r\nIn-Reply-To: <a@b>\r\n\r\n",
			func(v View) bool {
				return len(ThreadKeys(v)) == 1
			}},
		{"empty message id", "Message-ID: <>\r\n\r\n", func(v View) bool { return v.MessageID == "" }},
		{"message id of 1 MiB", "Message-ID: <" + strings.Repeat("x", mib) + "@y>\r\n\r\n", func(v View) bool {
			return v.MessageID == ""
		}},
		{"two dates, one readable", "Date: soon\r\nDate: Mon, 2 Jan 2006 15:04:05 +0000\r\n\r\n", func(v View) bool {
			return v.SentDate.Unix() == 1136214245
		}},
		{"garbage date", "Date: yesterday\r\nReceived: by x; Mon, 2 Jan 2006 15:04:05 +0000\r\n\r\n",
			func(v View) bool {
				return v.SentDate.IsZero() && v.ReceivedDate.Unix() == 1136214245 && v.Partial
			}},
		{"no from", "Subject: x\r\n\r\n", func(v View) bool { return v.From == nil && !v.Partial }},
		{"text of 3 MiB", "\r\n\r\n" + strings.Repeat("words and words\r\n", 3*mib/17), func(v View) bool {
			return len(v.Text) <= mib && len(v.Text) > mib/2 && v.Partial
		}},
		{"html of 3 MiB", "Content-Type: text/html\r\n\r\n" + strings.Repeat("<p>words &amp; words\r\n", 3*mib/21),
			func(v View) bool {
				return len(v.Text) <= mib && v.Partial
			}},
		{"10k html alternatives", "Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\nContent-Type: text/html\r\n\r\n"+strings.Repeat("x", 300)+"\r\n", 10_000),
			func(v View) bool {
				return len(v.Text) > mib/2
			}},
		{"open tags", "Content-Type: text/html\r\n\r\n" + strings.Repeat("<a <!-- <![CDATA[ <script ", mib/27),
			func(View) bool {
				return true
			}},
		{"garbage, 8 bit", strings.Repeat("\xff\xfe\x80=?\r\n", mib/7), func(v View) bool { return v.Partial }},
		{"8-bit subject and text of 1 MiB", "Subject: " + strings.Repeat("\xe9\xa0", mib/4) + "\r\n\r\n" +
			strings.Repeat("\x81\xff ", mib/3), func(v View) bool {
			return len(v.Text) > 0
		}},
		{"10k parts with undeclared 8-bit text and names", multi +
			strings.Repeat("--b\r\nContent-Type: a/b; name=\"\xe9a\"\r\n\r\n--b\r\n\r\n\xe9a\xa0\r\n", 10_000),
			func(v View) bool {
				return v.Partial
			}},
		{"comments", "From: " + strings.Repeat("(", mib/2) + "a@b\r\nTo: " + strings.Repeat("\"<", mib/4) +
			"\r\n\r\n", func(View) bool {
			return true
		}},
		{"params", "Content-Type: text/plain; " + strings.Repeat("name*0*=a'b'%41; \"; =", mib/23) + "\r\n\r\nx",
			func(v View) bool {
				return v.Text == "x"
			}},
		{"blobs before no reply word", "Subject: " + strings.Repeat("[a]", 5000) + "[\r\n\r\n", func(View) bool {
			return true
		}},
		{"parameters of 1 MiB in 15 parts", multi + strings.Repeat("--b\r\nContent-Type: a/b"+strings.Repeat(";a=b",
			15<<10)+"\r\n\r\n\r\n", 15), func(v View) bool {
			return len(v.Attachments) == 15
		}},
		{"blobs in the subject", "Subject: " + strings.Repeat("[a]", 300) + strings.Repeat("re:[a]", 3000) +
			"(fwd)\r\n\r\n", func(View) bool {
			return true
		}},
		{"base64 of base64", "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			strings.Repeat("====QUJD", mib/8), func(v View) bool {
			return strings.HasPrefix(v.Text, "ABCABC")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v View
			within(t, len(c.raw), func() { v = Parse(strings.NewReader(c.raw), Limits{}) })
			check(t, v)
			if !c.want(v) {
				t.Errorf("subject %.60q, to %d, %d bytes of text, %d attachments, problems %q", v.Subject, len(v.To),
					len(v.Text), len(v.Attachments), v.Problems)
			}
		})
	}
}

// TestWordFlood: words that never close cost no more than one search.
func TestWordFlood(t *testing.T) {
	for _, unit := range []string{"(", "\"<", "\"\\", "<a", "\"@", "=?a?q?x", "=?utf-8?B?", "=?", "=?a?q?=?=",
		"=?a?b?=?= =?c?q?d?=", "=?utf-8?q?=e9a?= =?ascii?q?=e9?="} {
		s := strings.Repeat(unit, mib/len(unit))
		within(t, len(s), func() { newCharsets().header(s) })
		within(t, len(s), func() { ParseAddressList(s) })
	}
}

// TestLinear parses what asks for a look at everything that follows, or came
// before, in each of its bytes.
func TestLinear(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, (mib-200)/len(s)) }
	open, end := "", ""
	for i := range 15 { // the text of the innermost one is compared with each page around it
		open += fmt.Sprintf("Content-Type: multipart/alternative; "+
			"boundary=b%[1]d\n\n--b%[1]d\n\n%0[2]*[1]d\n--b%[1]d\n", i,
			40+i/14*300)
		end = fmt.Sprintf("--b%[1]d\nContent-Type: text/html\n\n%[2]s\n--b%[1]d--\n", i,
			strings.Repeat("zzzzzzzz ", 7000)) + end
	}
	for name, raw := range map[string]string{
		"parentheses":       "Content-Transfer-Encoding: x=" + fill("(") + ")x\n\nx",
		"same address":      "To: <a@b>" + fill("<") + "<a@b>\n\nx",
		"groups":            "To: " + fill("<a:") + "\n\nx",
		"ids apart":         "References: " + fill("@ ") + "\n\nx",
		"richtext":          "Content-Type: text/richtext\n\n" + fill("<"),
		"enriched":          "Content-Type: text/enriched\n\n" + fill("< "),
		"one line in small": "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD\n", mib/3),
		"alternatives": open + "Content-Type: multipart/alternative; boundary=c\n\n--c\n\n1\n" +
			"--c\nContent-Type: text/html\n\n" + fill("abc ") + "\n--c--\n" + end,
	} {
		t.Run(name, func(t *testing.T) {
			var v View
			within(t, len(raw), func() { v = Parse(strings.NewReader(raw), Limits{}) })
			check(t, v)
		})
	}
}

// repeat is an endless text cut to a length, without holding it.
type repeat struct {
	head, unit string
	left, off  int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(len(p), r.left)]
	n := copy(p, r.head)
	r.head = r.head[n:]
	for n < len(p) {
		k := copy(p[n:], r.unit[r.off:])
		r.off = (r.off + k) % len(r.unit)
		n += k
	}
	r.left -= n
	return n, nil
}

// TestMemory parses 100 MB of each kind and watches what is allocated in all.
func TestMemory(t *testing.T) {
	for _, c := range []struct{ name, head, unit string }{
		{"attachment", "Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n", strings.Repeat("QUJD", 19) +
			"\r\n"},
		{"text", "Subject: x\r\n\r\n", "some text of a long letter\r\n"},
		{"one line", "Content-Type: text/html\r\n\r\n", strings.Repeat("x", 997)},
		{"one header field", "", strings.Repeat("X", 997)},
		{"header", "", "Subject: again\r\n"},
		{"preamble", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "never\r\n"},
		{"parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const size = 100_000_000
			r := &repeat{head: c.head, unit: c.unit, left: size}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			v := Parse(r, Limits{})
			runtime.ReadMemStats(&after)
			t.Logf("%v, %d kB allocated", time.Since(start).Round(time.Millisecond),
				(after.TotalAlloc-before.TotalAlloc)>>10)
			if got := after.TotalAlloc - before.TotalAlloc; got > 64*mib {
				t.Errorf("%d MiB allocated", got/mib)
			}
			if r.left != 0 {
				t.Errorf("%d bytes not read", r.left)
			}
			check(t, v)
			if c.name == "attachment" && (len(v.Attachments) != 1 || v.Attachments[0].Size < size*7/10) {
				t.Errorf("%+v", v.Attachments)
			}
		})
	}
}

func TestReadFailure(t *testing.T) {
	broken := errors.New("cable pulled")
	raw := crlf("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "begun", "--b", "Content-Type: a/b", "",
		"half")
	r := io.MultiReader(strings.NewReader(raw), iotest.ErrReader(broken))
	if v := Parse(r, Limits{}); !strings.Contains(strings.Join(v.Problems, ";"), "reading stopped") ||
		v.Text != "begun" {
		t.Errorf("%q %q", v.Problems, v.Text)
	}
	body, _, ok := Part(io.MultiReader(strings.NewReader(raw), iotest.ErrReader(broken)), "2", Limits{})
	if !ok {
		t.Fatal("no part")
	}
	if _, err := io.ReadAll(body); !errors.Is(err, broken) {
		t.Errorf("a cut part reads as whole: %v", err)
	}
}

// TestChunks: how the bytes arrive changes nothing.
func TestChunks(t *testing.T) {
	for _, c := range corpus {
		whole := fmt.Sprintf("%+v", Parse(strings.NewReader(c.raw), Limits{}))
		if one := fmt.Sprintf("%+v", Parse(iotest.OneByteReader(strings.NewReader(c.raw)), Limits{})); one != whole {
			t.Errorf("%s: %s\nbyte by byte: %s", c.name, whole, one)
		}
	}
	raw := typical(true)
	if a, b := fmt.Sprint(Parse(bytes.NewReader(raw), Limits{})),
		fmt.Sprint(Parse(iotest.HalfReader(bytes.NewReader(raw)), Limits{})); a != b {
		t.Error("half reads differ")
	}
}
