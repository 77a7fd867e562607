package corpus

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func digest(seed uint64, n int, o Options) string {
	h := sha256.New()
	for m := range Generate(seed, n, o) {
		fmt.Fprint(h, m.Date, m.Flags, m.Subject, m.ID)
		h.Write(m.Raw)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestDeterministic(t *testing.T) {
	first, again := digest(1, 100, Options{}), digest(1, 100, Options{})
	if first != again {
		t.Error("two runs of one seed differ")
	}
	if first == digest(2, 100, Options{}) {
		t.Error("two seeds are the same")
	}
}

func TestBelievable(t *testing.T) {
	ids := map[string]bool{}
	kinds := map[string]int{}
	var last Message
	for m := range Generate(3, 500, Options{AvgSize: 6000}) {
		if ids[m.ID] || m.Date.Before(last.Date) {
			t.Fatalf("message %s: a double, or older than the one before", m.ID)
		}
		ids[m.ID] = true
		last = m
		for line := range bytes.SplitSeq(m.Raw, []byte("\r\n")) {
			if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
				t.Fatalf("message %s: bad line %q", m.ID, line)
			}
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil {
			t.Fatalf("message %s: %v", m.ID, err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
		if err != nil || subject != m.Subject {
			t.Fatalf("subject %q, %v; want %q", subject, err, m.Subject)
		}
		date, err := parsed.Header.Date()
		if err != nil || !date.Equal(m.Date) {
			t.Fatalf("date %v, %v; want %v", date, err, m.Date)
		}
		for _, field := range []string{"From", "To"} {
			if _, err := parsed.Header.AddressList(field); err != nil {
				t.Fatalf("message %s: %s: %v", m.ID, field, err)
			}
		}
		for reference := range strings.FieldsSeq(parsed.Header.Get("References")) {
			if !ids[strings.Trim(reference, "<>")] {
				t.Fatalf("message %s refers to %s, which is not before it", m.ID, reference)
			}
			kinds["reference"]++
		}
		walk(t, parsed.Header.Get("Content-Type"), parsed.Header.Get("Content-Transfer-Encoding"), parsed.Body, kinds)
	}
	for _, kind := range []string{"reference", "multipart/mixed", "multipart/alternative", "text/html",
		"application/pdf", "utf-8", "koi8-r", "iso-8859-1",
		"iso-2022-jp", "us-ascii", "7bit", "8bit", "quoted-printable", "base64"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s among 500 messages", kind)
		}
	}
}

func walk(t *testing.T, contentType, encoding string, body io.Reader, kinds map[string]int) {
	t.Helper()
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("content type %q: %v", contentType, err)
	}
	kinds[media]++
	kinds[params["charset"]]++
	kinds[encoding]++
	if !strings.HasPrefix(media, "multipart/") {
		return
	}
	for parts := multipart.NewReader(body, params["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		walk(t, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part, kinds)
	}
}

func TestSizes(t *testing.T) {
	for _, o := range []Options{{}, {AvgSize: 4000, AttachmentShare: -1}, {AvgSize: 20000, AttachmentShare: -1},
		{AvgSize: 60000, AttachmentShare: 0.5}} {
		total, n := 0, 500
		for m := range Generate(1, n, o) {
			total += len(m.Raw)
		}
		want := o.AvgSize
		if want == 0 {
			want = 20_000
		}
		t.Logf("%+v: mean %d", o, total/n)
		if mean := total / n; mean < want*7/10 || mean > want*13/10 {
			t.Errorf("%+v: mean size %d, want about %d", o, mean, want)
		}
	}
}

func TestFill(t *testing.T) {
	got := map[string]int{}
	var sum int64
	total, err := Fill(1, 200, 8, Options{AvgSize: 2000}, func(mailbox string, m Message) error {
		got[mailbox]++
		sum += int64(len(m.Raw))
		return nil
	})
	if err != nil || total != sum || len(got) != 8 || got["INBOX"] < got["Junk"] {
		t.Errorf("total %d of %d, mailboxes %v, %v", total, sum, got, err)
	}
	broken := errors.New("broken")
	if _, err := Fill(1, 5, 2, Options{}, func(string, Message) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("Fill = %v", err)
	}
	if names := Mailboxes(40); len(slices.Compact(slices.Sorted(slices.Values(names)))) != 40 {
		t.Errorf("doubled names in %q", names)
	}
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		total := 0
		for m := range Generate(1, 500, Options{}) {
			total += len(m.Raw)
		}
		b.SetBytes(int64(total))
	}
}
