//go:build unix

package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailcote/testkit/dovecot"
)

// TestConversation: answers of many programs and languages are one conversation with what they answer. A link that
// comes late joins two, and an id from before still shows its message.
func TestConversation(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	deliver := func(id, subject, rest string) {
		r.server.Deliver(t, dovecot.User, "INBOX", fmt.Appendf(nil, "From: Jo <jo@tide.example>\r\n"+
			"Message-ID: <%s@tide.example>\r\nSubject: %s\r\n%s\r\nText of %s\r\n", id, subject, rest, id),
			dovecot.Options{})
	}
	idOf := func(message string) string {
		var row struct{ ID string }
		for text := range r.rows(`SELECT email_id AS id FROM mail WHERE message_id = '` + message +
			`@tide.example'`) {
			if err := json.Unmarshal([]byte(text), &row); err != nil {
				t.Fatal(err)
			}
		}
		return row.ID
	}
	deliver("root", "Low tide", "")
	for i, reply := range [][2]string{
		{"R: Low tide", "In-Reply-To: root@tide.example"},
		{"Antwort: Low tide", "In-Reply-To: =?utf-8?q?=3Croot=40tide.example=3E?="},
		{"RE^3: Low tide", "References: <lost@tide.example> (Jo)\r\n <root@\r\n tide.example>"},
		{"=?utf-8?b?5Zue5aSN77yaIExvdyB0aWRl?=", "In-Reply-To: < root @ tide.example >"},
		{"Ynt: Low tide", "References: =?utf-8?b?PHJvb3RAdGlk?=\r\n =?utf-8?b?ZS5leGFtcGxlPg==?="},
	} {
		deliver(fmt.Sprintf("reply%d", i), reply[0], reply[1]+"\r\n")
	}
	deliver("other", "Re: Low tide", "") // an equal subject alone joins nothing
	r.exits(0, "sync", r.url())
	if n := r.number("SELECT max(emails) * 10 + count(*) AS n FROM threads"); n != 62 {
		t.Errorf("%s", r.exits(0, "sql", "SELECT subject, emails FROM threads").out)
	}
	before, root := idOf("other"), idOf("root")
	deliver("link", "Fwd: Low tide", "References: <other@tide.example>\r\n <reply0@tide.example>\r\n")
	r.exits(0, "sync", r.url())
	if n := r.number("SELECT emails AS n FROM threads"); n != 8 {
		t.Errorf("%s", r.exits(0, "sql", "SELECT subject, emails FROM threads").out)
	}
	if idOf("other") == before || idOf("root") != root {
		t.Error("not the smaller conversation got new ids")
	}
	if o := r.exits(0, "show", before); !strings.Contains(o.out, "Text of other") {
		t.Errorf("by its former id: %s", o.out)
	}
	leave := filepath.Join(r.dir, "leave")
	r.exits(0, "export", "--format", "jsonl", "--out", leave, "--id", before)
	text, err := os.ReadFile(filepath.Join(only(t, leave), "INBOX.jsonl"))
	if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), idOf("other")) {
		t.Errorf("exported by its former id: %v, %s", err, text)
	}
	r.sound()
	id := idOf("other")
	r.alter(r.store, `UPDATE entry SET expunged_at = 1
		WHERE email_id = (SELECT id FROM email WHERE jmap_id = '`+id+`')`)
	r.refuses(2, []string{"export", "--format", "eml", "--out", filepath.Join(r.dir, "gone"), "--id", id},
		[]string{"no message"})
}
