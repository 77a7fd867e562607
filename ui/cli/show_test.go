package cli_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailcote/testkit/script"
)

// photo is an attachment with every byte and no line ends of mail.
func photo() []byte {
	var b []byte
	for i := range 5000 {
		b = append(b, byte(i), byte(i>>3), '\r', '\n', '=', 0)
	}
	return b
}

// base64Lines is base64 in lines.
func base64Lines(raw []byte) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(raw)), 76) {
		b.Write(append(line, "\r\n"...))
	}
	return b.String()
}

// withParts is a message with a short text, HTML, two files of one name, one
// whose name leads elsewhere, and an attached message with a file of its own.
func withParts() []byte {
	file := func(name, body string) string {
		return "--m\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n" +
			"Content-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n" + body
	}
	return []byte("From: Shop <shop@a.example>\r\nTo: bob@example.org\r\nSubject: Confirm\r\n" +
		"Message-ID: <parts@a.example>\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n" +
		"--m\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n" +
		"<p>Caf\xe9: please <a href=\"https://a.example/confirm?t=1&amp;u=2\">confirm</a> or " +
		"<a href=\"javascript:x('\xe9')\">press</a></p>\r\n" +
		file("photo.jpg", base64Lines(photo())) + file("photo.jpg", base64Lines([]byte("other"))) +
		file("../../../etc/photo.jpg", base64Lines([]byte("third"))) +
		"--m\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"CON.eml\"\r\n\r\n" +
		inner + "\r\n--m--\r\n")
}

const inner = "Subject: inner\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n" +
	"--i\r\n\r\nlisten\r\n--i\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\n\r\n%PDF\r\n--i--"

// shown syncs messages from a scripted server and gives their ids, oldest first.
func shown(t *testing.T, raw ...[]byte) (*rig, []string) {
	t.Helper()
	r := &rig{t: t}
	r.fresh()
	s := script.Start(t, script.Options{})
	r.addr = s.Addr()
	s.Change(func(m *script.Model) {
		for _, one := range raw {
			m.Box("INBOX").Add(one)
		}
	})
	r.sync()
	var ids []string
	for row := range r.rows("SELECT email_id AS id FROM mail ORDER BY uid") {
		var one struct{ ID string }
		if err := json.Unmarshal([]byte(row), &one); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, one.ID)
	}
	if len(ids) != len(raw) {
		t.Fatalf("%d messages of %d", len(ids), len(raw))
	}
	return r, ids
}

func TestShowLinksAndParts(t *testing.T) {
	t.Parallel()
	r, ids := shown(t, withParts(), []byte("Subject: bare\r\n\r\nOpen https://a.example/x.\r\n"))
	id, bare := ids[0], ids[1]

	text := r.exits(0, "show", id).out
	for _, want := range []string{
		"Café: please confirm [1] or press [2]", "\n\n[1] https://a.example/confirm?t=1&u=2\n[2] javascript:x('é')\n",
		"\nAttachment 2: photo.jpg  image/jpeg, 30.0 kB\n", "\nAttachment 4: ../../../etc/photo.jpg  image/jpeg, 5 B\n",
		"\nAttachment 5: CON.eml  message/rfc822, ", "\nAttachment 5.2: a.pdf  application/pdf, 4 B\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("show lacks %q:\n%s", want, text)
		}
	}
	if text := r.exits(0, "show", bare).out; !strings.Contains(text, "Open https://a.example/x.\n") ||
		strings.Contains(text, "[1]") {
		t.Errorf("plain text: %s", text)
	}

	if got := r.exits(0, "show", id, "--links").out; got !=
		"1\thttps://a.example/confirm?t=1&u=2\tconfirm\n2\tjavascript:x('é')\tpress\n" {
		t.Errorf("links: %q", got)
	}
	if got := r.exits(0, "show", bare, "--links").out; got != "1\thttps://a.example/x\n" {
		t.Errorf("links: %q", got)
	}
	if got := r.exits(0, "show", id, "--links", "--json").out; !strings.HasPrefix(got,
		`{"type":"link","number":1,"target":"https://a.example/confirm?t=1&u=2","text":"confirm"}`+"\n") {
		t.Errorf("links: %s", got)
	}
	if got := r.exits(0, "show", id, "--html").out; !strings.HasPrefix(got, "<p>Café: please <a href=") {
		t.Errorf("HTML: %q", got)
	}
	for number, want := range map[string]string{
		"1": "<p>Caf\xe9", "2": string(photo()), "3": "other", "5": inner, "5.1": "listen", "5.2": "%PDF",
	} {
		if got := r.exits(0, "show", id, "--part", number).out; !strings.HasPrefix(got, want) ||
			number != "1" && got != want {
			t.Errorf("part %s: %q", number, got)
		}
	}
}

func TestShowJSON(t *testing.T) {
	t.Parallel()
	r, ids := shown(t, withParts(), []byte("\r\n"))
	var v struct {
		View map[string]json.RawMessage
	}
	read := func(args ...string) string {
		t.Helper()
		v.View = nil
		out := r.exits(0, append([]string{"show", "--json"}, args...)...).out
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatal(err)
		}
		return out
	}
	read(ids[0])
	for key, want := range map[string]string{
		"subject": `"Confirm"`, "from": `[{"type":"address","name":"Shop","email":"shop@a.example"}]`,
		"to": `[{"type":"address","name":null,"email":"bob@example.org"}]`, "cc": `[]`, "sent_at": `null`,
		"received_at": `null`,
		"in_reply_to": `[]`, "message_id": `"parts@a.example"`, "from_html": `true`, "partial": `false`,
		"problems": `[]`,
		"html":     `null`,
	} {
		if got := string(v.View[key]); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if got := string(v.View["text"]); !strings.Contains(got, "please confirm or press") {
		t.Errorf("text: %s", got)
	}
	var parts, attachments []struct {
		Type, Number, Name string
		MediaType          string `json:"media_type"`
		Size               int64
	}
	if err := json.Unmarshal(v.View["parts"], &parts); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(v.View["attachments"], &attachments); err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, p := range parts {
		told += fmt.Sprint(p.Number, " ", p.MediaType, " ", p.Name, "|")
	}
	if told != "1 text/html |2 image/jpeg photo.jpg|3 image/jpeg photo.jpg|4 image/jpeg ../../../etc/photo.jpg|"+
		"5.1 text/plain |5.2 application/pdf a.pdf|" {
		t.Errorf("parts %s", told)
	}
	if len(attachments) != 5 || attachments[0].Size != int64(len(photo())) || attachments[3].Number != "5" {
		t.Errorf("attachments %+v", attachments)
	}
	if read("--html", ids[0]); !strings.HasPrefix(string(v.View["html"]), `"<p>Café: please <a href=`) {
		t.Errorf("HTML: %s", v.View["html"])
	}
	out := read(ids[1]) // nothing is known
	if strings.Contains(out, "0001-01-01") || string(v.View["subject"]) != "null" || string(v.View["links"]) != "[]" {
		t.Errorf("an empty message: %s", out)
	}
}

func TestShowSave(t *testing.T) {
	t.Parallel()
	r, ids := shown(t, withParts(), []byte("Subject: none\r\n\r\nx\r\n"),
		[]byte("Content-Type: multipart/mixed; boundary=m\r\n"+
			"\r\n--m\r\n\r\nhello\r\nbegin 644 ../cat.txt\r\n#0V%T\r\n`\r\nend\r\n"+
			"--m\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: "+
			"base64\r\n\r\n"+base64Lines([]byte(inner))+"--m--\r\n"))
	dir := filepath.Join(t.TempDir(), "new")
	paths := func(out string) (all []string) {
		for line := range strings.Lines(out) {
			path, _, _ := strings.Cut(line, "  ")
			all = append(all, strings.TrimSpace(strings.TrimPrefix(path, dir+string(filepath.Separator))))
		}
		return all
	}
	want := []string{"photo.jpg", "photo (2).jpg", "photo (3).jpg", "a.pdf", "_CON.eml"}
	if got := paths(r.exits(0, "show", ids[0], "--save", dir).out); !slices.Equal(got, want) {
		t.Errorf("saved %q", got)
	}
	for name, want := range map[string]string{"photo.jpg": string(photo()), "photo (2).jpg": "other",
		"photo (3).jpg": "third", "a.pdf": "%PDF", "_CON.eml": inner} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %.60q, %v", name, got, err)
		}
	}
	if got := paths(r.exits(0, "show", ids[0], "--save", dir, "--part", "2").out); !slices.Equal(got,
		[]string{"photo (4).jpg"}) {
		t.Errorf("saved %q", got)
	}
	if got := paths(r.exits(0, "show", ids[0], "--save", dir, "--part", "1").out); !slices.Equal(got,
		[]string{"part 1.html"}) {
		t.Errorf("saved %q", got)
	}
	var file struct {
		Type, Path, Number, Name string
		Size                     int64
	}
	out := r.exits(0, "show", ids[0], "--save", dir, "--part", "3", "--json").out
	if err := json.Unmarshal([]byte(out), &file); err != nil || file.Type != "file" || file.Size != 5 ||
		file.Path != filepath.Join(dir, "photo (5).jpg") || file.Name != "photo.jpg" {
		t.Errorf("%s: %v", out, err)
	}
	old := filepath.Join(dir, "old")
	r.exits(0, "show", ids[2], "--save", old)
	for name, want := range map[string]string{"cat.txt": "Cat", "inner.eml": inner, "a.pdf": "%PDF"} {
		if got, err := os.ReadFile(filepath.Join(old, name)); err != nil || string(got) != want {
			t.Errorf("%s: %.60q, %v", name, got, err)
		}
	}
	if got := r.exits(0, "show", ids[2], "--part", "1.u1").out; got != "Cat" {
		t.Errorf("a file in the text: %q", got)
	}
	o := r.exits(0, "show", ids[1], "--save", filepath.Join(dir, "unused"))
	if _, err := os.Stat(filepath.Join(dir, "unused")); o.out != "" || !strings.Contains(o.errs, "no attachments") ||
		err == nil {
		t.Errorf("nothing to save: %s%s, %v", o.out, o.errs, err)
	}
}

// TestShowSaveMany: more attachments than a stored view lists are listed and
// saved, although all have one name that leads elsewhere.
func TestShowSaveMany(t *testing.T) {
	t.Parallel()
	const files = 1200
	raw := []byte("Content-Type: multipart/mixed; boundary=m\r\n\r\n")
	for i := range files {
		raw = fmt.Appendf(raw, "--m\r\nContent-Disposition: attachment; filename=\"../../x/..\"\r\n\r\n%d\r\n", i)
	}
	r, ids := shown(t, append(raw, "--m--\r\n"...))
	dir := t.TempDir()
	o := r.exits(0, "show", ids[0], "--save", dir, "--quiet")
	saved, err := os.ReadDir(dir)
	if err != nil || len(saved) != files || strings.Count(o.out, "\n") != files || o.errs != "" {
		t.Fatalf("%d files, %v: %s", len(saved), err, o.errs)
	}
	got := map[string]bool{}
	for _, one := range saved {
		body, err := os.ReadFile(filepath.Join(dir, one.Name()))
		if err != nil || !one.Type().IsRegular() {
			t.Fatal(one, err)
		}
		got[string(body)] = true
	}
	if len(got) != files {
		t.Errorf("%d bodies", len(got))
	}
}

func TestShowRefuses(t *testing.T) {
	t.Parallel()
	r, ids := shown(t, withParts(), []byte("Subject: none\r\n\r\nx\r\n"))
	id := ids[0]
	for _, c := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"--part", "9"}, []string{`has no part "9"`, "--json lists"}},
		{[]string{"--part", "5.3"}, []string{`has no part "5.3"`}},
		{[]string{"--part", "0"}, []string{"no part number"}},
		{[]string{"--part", ""}, []string{"no part number"}},
		{[]string{"--part", "1."}, []string{"no part number"}},
		{[]string{"--part", "1.TEXT"}, []string{"no part number"}},
		{[]string{"--part", "../1"}, []string{"no part number"}},
		{[]string{"--save", ""}, []string{"needs a directory"}},
		{[]string{"--part", "1", "--json"}, []string{"exclude each other"}},
		{[]string{"--raw", "--json"}, []string{"exclude each other"}},
		{[]string{"--raw", "--links"}, []string{"exclude each other"}},
		{[]string{"--html", "--part", "1"}, []string{"exclude each other"}},
		{[]string{"--links", "--save", "x"}, []string{"exclude each other"}},
	} {
		r.refuses(2, append([]string{"show", id}, c.args...), c.wants)
	}
	r.refuses(2, []string{"show", ids[1], "--html"}, []string{"has no HTML"})
	for _, flag := range []string{"--links", "--html", "--part=1", "--save=x"} {
		r.refuses(2, []string{"show", "nothing", flag}, []string{`no message "nothing"`})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.refuses(1, []string{"show", id, "--save", file}, []string{"directory for attachments", file})
}
