package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	gomessage "github.com/emersion/go-message"
	"pgregory.net/rapid"
)

// The oracles of this file are other people's parsers: where they accept
// well-formed input, ours must find the same.

// TestAgainstGoMessage builds random well-formed trees and compares every
// leaf's type and decoded bytes.
func TestAgainstGoMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw bytes.Buffer
		header := gomessage.Header{}
		header.Set("Subject", "tree")
		n := 0
		build(t, &raw, header, 0, &n)

		entity, err := gomessage.Read(bytes.NewReader(raw.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		want := leaves(t, entity)
		var got []string
		s := newScanner(bytes.NewReader(raw.Bytes()), DefaultLimits(), newCharsets(), func(p string) {
			t.Errorf("problem: %s", p)
		})
		for ev := s.next(); ev != evDone; ev = s.next() {
			if ev != evLeaf {
				continue
			}
			body, a, ok := Part(bytes.NewReader(raw.Bytes()), s.part.path, Limits{})
			if !ok {
				t.Fatalf("no part %s", s.part.path)
			}
			b, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, a.Type+" "+string(b))
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("got %q\nwant %q\n%s", got, want, raw.Bytes())
		}
	})
}

// build writes one entity; boundaries are made so that some are prefixes of
// others.
func build(t *rapid.T, w io.Writer, header gomessage.Header, depth int, n *int) {
	*n++
	if depth < 4 && rapid.Bool().Draw(t, "multipart") {
		kind := rapid.SampledFrom([]string{"mixed", "alternative", "related"}).Draw(t, "kind")
		header.SetContentType("multipart/"+kind, map[string]string{"boundary": "b" + strings.Repeat("x", *n)})
		mw, err := gomessage.CreateWriter(w, header)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(t, "children") {
			part := gomessage.Header{}
			pw := &bytes.Buffer{}
			build(t, pw, part, depth+1, n)
			writeRaw(t, mw, pw.Bytes())
		}
		if err := mw.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	header.SetContentType(rapid.SampledFrom([]string{"text/plain", "image/png", "application/x-y"}).Draw(t, "type"),
		nil)
	header.Set("Content-Transfer-Encoding", rapid.SampledFrom([]string{"base64", "quoted-printable", "8bit"}).Draw(t,
		"encoding"))
	body := strings.Join(rapid.SliceOf(rapid.StringMatching(`[a-z=\-é ]{0,90}[a-z]`)).Draw(t, "lines"), "\r\n")
	ew, err := gomessage.CreateWriter(w, header)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(ew, body); err != nil {
		t.Fatal(err)
	}
	if err := ew.Close(); err != nil {
		t.Fatal(err)
	}
}

// writeRaw adds a finished entity to a multipart.
func writeRaw(t *rapid.T, mw *gomessage.Writer, raw []byte) {
	e, err := gomessage.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	pw, err := mw.CreatePart(e.Header)
	if err != nil {
		t.Fatal(err)
	}
	if mr := e.MultipartReader(); mr != nil {
		for {
			p, err := mr.NextPart()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var inner bytes.Buffer
			if err := p.WriteTo(&inner); err != nil {
				t.Fatal(err)
			}
			writeRaw(t, pw, inner.Bytes())
		}
	} else if _, err := io.Copy(pw, e.Body); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
}

func leaves(t *rapid.T, e *gomessage.Entity) []string {
	mr := e.MultipartReader()
	if mr == nil {
		b, err := io.ReadAll(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := e.Header.ContentType()
		return []string{kind + " " + string(b)}
	}
	var all []string
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leaves(t, p)...)
	}
}

func TestAgainstNetMail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []string
		for range rapid.IntRange(1, 5).Draw(t, "n") {
			a := mail.Address{
				Name:    rapid.StringMatching(`([A-Za-z.,"<>()@é日;:\\ ]{0,12}[A-Za-z])?`).Draw(t, "name"),
				Address: rapid.StringMatching(`[a-z0-9+_-]*[a-z](\.[a-z]+)?@[a-z]{1,8}\.[a-z]{2}`).Draw(t, "address"),
			}
			list = append(list, a.String())
		}
		text := strings.Join(list, rapid.SampledFrom([]string{", ", ",", ",\r\n\t"}).Draw(t, "separator"))
		compareAddresses(t, text)
	})
}

// compareAddresses fails when net/mail reads a list and ours differs.
func compareAddresses(t interface{ Errorf(string, ...any) }, text string) {
	want, err := mail.ParseAddressList(text)
	if err != nil || strings.Contains(text, "\\ ") {
		return
	}
	got := ParseAddressList(text)
	if len(got) != len(want) {
		t.Errorf("%q: %v, want %v", text, got, want)
		return
	}
	for i, w := range want {
		name := unquote(oneLine(w.Name))
		if strings.EqualFold(name, w.Address) {
			name = ""
		}
		if strings.Join(strings.Fields(got[i].Name), " ") != strings.Join(strings.Fields(name), " ") ||
			got[i].Email != w.Address {
			t.Errorf("%q: %q, want %q %q", text, got[i], name, w.Address)
		}
	}
}

func TestDateAgainstNetMail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unix := rapid.Int64Range(31536000+86400, 253370764800-2*86400).Draw(t, "unix")
		zone := time.FixedZone("", rapid.IntRange(-14*4, 14*4).Draw(t, "quarter")*900)
		layout := rapid.SampledFrom([]string{time.RFC1123Z, "2 Jan 2006 15:04:05 -0700",
			"Mon, 02 Jan 2006 15:04:05 -0700 (XYZ)"}).Draw(t, "layout")
		text := time.Unix(unix, 0).In(zone).Format(layout)
		want, err := mail.ParseDate(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseDate(text); !ok || !got.Equal(want) {
			t.Fatalf("%q: %v %v, want %v", text, got, ok, want.UTC())
		}
	})
}

func TestWordsAgainstMime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(strings.Fields(rapid.StringMatching(`[a-zé日本 ?=_]{0,200}`).Draw(t, "text")), " ")
		enc := rapid.SampledFrom([]mime.WordEncoder{mime.QEncoding, mime.BEncoding}).Draw(t, "encoder")
		word := enc.Encode("utf-8", text)
		want, err := new(mime.WordDecoder).DecodeHeader(word)
		if err != nil {
			return
		}
		if got := newCharsets().header(word); got != want {
			t.Fatalf("%q: %q, want %q", word, got, want)
		}
	})
}
