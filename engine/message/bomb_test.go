package message

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/form"
)

// TestBombs: what is nested, cut or encoded many times costs at most 2 s a MiB
// and 64 MiB in all. A plain message of the same run shows how fast the machine
// is at the moment.
func TestBombs(t *testing.T) {
	long, times := form.Long(), 1
	if long {
		times = 10
	}
	cost := func(raw string) (perMiB time.Duration, allocated uint64) {
		fastest := time.Hour
		for range 3 { // other tests run beside this one
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			Parse(strings.NewReader(raw), Limits{})
			fastest = min(fastest, time.Since(start))
			runtime.ReadMemStats(&after)
			allocated = after.TotalAlloc - before.TotalAlloc
		}
		return time.Duration(float64(fastest) * mib / float64(len(raw))), allocated
	}
	plain, _ := cost("Subject: plain\r\n\r\n" +
		strings.Repeat("a line of a letter that says nothing in particular\r\n", 4*mib/51))
	page := "Content-Type: text/html\r\n\r\n" + strings.Repeat("<p>a<b>b</b>", 2*mib/12)
	short := strings.Repeat("<p>c", 50)
	fields := many(100, "; name*%[1]d=a")
	multi := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	for _, c := range []struct{ name, raw string }{
		{"depth", many(10_000*times, "Content-Type: multipart/mixed; boundary=b%[1]d\r\n\r\n--b%[1]d\r\n")},
		{"depth of messages", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 10_000*times)},
		{"parts", multi + strings.Repeat("--b\r\nContent-Type: a/b; name=x\r\n\r\nx\r\n", 100_000*times) + "--b--\r\n"},
		{"boundaries that begin alike",
			many(100, "Content-Type: multipart/mixed; boundary=bbbbbbbbb%[1]d\r\n\r\n--bbbbbbbbb%[1]d\r\n") +
				"\r\n" + strings.Repeat("--bbbbbbbbbX\n", times*mib/13)},
		{"a page in 98 alternatives", nested("alternative", 98, "") + page},
		{"pages before a page in 98 alternatives", nested("alternative", 98,
			"Content-Type: text/html\r\n\r\n"+short) + page},
		{"alternatives and related in turn", strings.Repeat(nested("alternative", 7, ""), 7) +
			nested("related", 49, "") + page},
		{"alternatives side by side", multi +
			strings.Repeat("--b\r\n"+nested("alternative", 20, "")+
				"Content-Type: text/html\r\n\r\n"+short+"\r\n", 400) + "--b--\r\n"},
		{"100 parts of a name in each part", multi +
			strings.Repeat("--b\r\nContent-Type: a/b"+fields+"\r\n"+
				"Content-Disposition: attachment"+
				strings.ReplaceAll(fields, "name", "filename")+"\r\n\r\nx\r\n", 4000) + "--b--\r\n"},
		{"encoded words", "Subject: " + strings.Repeat("=?utf-8?Q?=C3=A4?= ", times*mib/20) + "\r\n\r\nx"},
		{"encoded words in addresses", "To: " + strings.Repeat("=?utf-8?B?w6Q=?= <a@b>, ", times*mib/24) + "\r\n\r\nx"},
		{"lines of two programs in turn", "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" +
			strings.Repeat("\xff\n\x1b$B\n", times*mib/6)},
		{"encoded words that never end", "From: " + strings.Repeat("=?a?q?x", times*mib/7) + "\r\n\r\nx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			took, allocated := cost(c.raw)
			t.Logf("%d kB: %v a MiB, %.1f times a plain message, %.1f MiB allocated", len(c.raw)>>10,
				took.Round(time.Microsecond), float64(took)/float64(plain), float64(allocated)/mib)
			if took > 2*time.Second && (long || took > 500*plain) {
				t.Errorf("%v a MiB where a plain message takes %v", took, plain)
			}
			if allocated > 64*mib {
				t.Errorf("%d MiB allocated", allocated/mib)
			}
		})
	}
}

// nested opens n multiparts, each in the one before it and behind a part of its
// own, if there is one.
func nested(kind string, n int, part string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/%s; boundary=%[1]s%d\r\n\r\n", kind, i)
		if part != "" {
			fmt.Fprintf(&b, "--%s%d\r\n%s\r\n", kind, i, part)
		}
		fmt.Fprintf(&b, "--%s%d\r\n", kind, i)
	}
	return b.String()
}
