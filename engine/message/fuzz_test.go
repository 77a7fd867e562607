package message

import (
	"io"
	"runtime/metrics"
	"strings"
	"testing"
	"unicode/utf8"
)

// allocated returns the bytes this process has ever allocated.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// FuzzParse: no panic, valid UTF-8, time and memory bounded, and every part
// that is listed can be fetched with the size that was told.
func FuzzParse(f *testing.F) {
	for _, c := range corpus {
		f.Add([]byte(c.raw))
	}
	f.Add(typical(true))
	f.Add([]byte("Content-Type:\x00/")) // an attachment's type with a NUL
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v View
		before := allocated()
		within(t, len(raw), func() { v = Parse(strings.NewReader(string(raw)), Limits{}) })
		if got := allocated() - before; got > 48*mib+uint64(len(raw))*64 {
			t.Errorf("%d bytes allocated for %d", got, len(raw))
		}
		check(t, v)
		for i, a := range v.Attachments {
			if i == 5 {
				break
			}
			r, _, ok := Part(strings.NewReader(string(raw)), a.Path, Limits{})
			if !ok {
				t.Fatalf("part %s of %v", a.Path, v.Attachments)
			}
			if n, err := io.Copy(io.Discard, r); err != nil || n != a.Size {
				t.Errorf("part %s: %d bytes, %v; told %d", a.Path, n, err, a.Size)
			}
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	for _, s := range []string{"=?utf-8?Q?=C3=A4?= x", "=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=", "caf\xe9", "\x1b$BF|",
		"=?utf-7?Q?A+AOQ-b?=", "=?a?q?=?b?B?==?="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var out string
		within(t, len(s), func() { out = newCharsets().header(s) })
		if !utf8.ValidString(out) || strings.ContainsAny(out, "\x00\r\n") {
			t.Errorf("%q: %q", s, out)
		}
		base := baseSubject(out)
		if again := baseSubject(base); !utf8.ValidString(base) || len(base) < maxBase/2 && again != base {
			t.Errorf("base subject %q, of it %q", base, again)
		}
	})
}

func FuzzParseAddressList(f *testing.F) {
	for _, s := range []string{"Ann <a@b>, \"D, J\" <c@d> (x)", "g: a@b, <@r:c@d>;", "=?utf-8?Q?a,b?= <x@y>",
		"J\xfcrgen <j@x", "x@[::1]", "a@b \"", "(((", "<\"a b\"@c>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var list []Address
		within(t, len(s), func() { list = ParseAddressList(s) })
		if len(list) > maxAddresses {
			t.Errorf("%d addresses", len(list))
		}
		for _, a := range list {
			if !utf8.ValidString(a.Name) || !utf8.ValidString(a.Email) ||
				strings.ContainsAny(a.Name+a.Email, "\x00\r\n") || a == (Address{}) ||
				len(a.Name) > maxName || len(a.Email) > maxName {
				t.Errorf("%q: %q", s, a)
			}
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"Mon, 2 Jan 2006 15:04:05 -0700 (MST)", "2006-01-02T15:04:05Z",
		"Mon Jan  2 15:04:05 2006", "02-Jan-2006 15:04:05 +0000", "2 Jan 06 3:04PM EST"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseDate(s)
		if !ok {
			if !got.IsZero() {
				t.Errorf("%q: %v", s, got)
			}
			return
		}
		if got.Year() < 1971 || got.Year() >= 9999 || got.Location().String() != "UTC" {
			t.Errorf("%q: %v", s, got)
		}
		if again, ok := parseDate(got.Format("Mon, 2 Jan 2006 15:04:05 -0700")); !ok || !again.Equal(got) {
			t.Errorf("%q: %v, then %v", s, got, again)
		}
	})
}

func FuzzHTMLText(f *testing.F) {
	for _, s := range []string{"<p>a<br>b</p>", "<script>x</script>y", "<head><title>t</title></head><body>b",
		"<pre> a\n b</pre>", "&#x80;&nbsp;&lt;", "<blockquote><li>x", "<!--<plaintext>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "\ufffd")
		var out string
		within(t, len(s), func() { out = htmlText(s, mib) })
		if !utf8.ValidString(out) || strings.ContainsRune(out, 0) || len(out) > mib {
			t.Errorf("%q: %q", s, out)
		}
		preview(out)
	})
}
