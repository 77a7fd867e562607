package cli_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailcote/storage"
	"mailcote/testkit/script"
)

// TestQuarantineByHand: what the server does not deliver is listed, can be asked for again, and what it will give
// of it can be had.
func TestQuarantineByHand(t *testing.T) {
	t.Parallel()
	r, s := scripted(t)
	body := noise(40_000)
	s.Change(func(m *script.Model) {
		m.Box("INBOX").Add(body)
		m.Box("INBOX").Add(body[:5000])
	})
	bad := func(p script.Part) script.Fault {
		switch {
		case p.UID == 2 && strings.Contains(p.Items, "BODY") && (p.Most == 0 || p.From+p.Most > 20_000):
			return script.CutEarly
		case p.UID == 3 && p.Most > 0:
			return script.Omit
		case p.UID == 3 && strings.Contains(p.Items, "BODY"):
			return script.Cut
		}
		return script.Whole
	}
	s.Misbehave(script.Faults{Part: bad})
	file := filepath.Join(r.dir, "raw")
	if err := os.WriteFile(file, []byte(script.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.exits(0, "account", "add", r.url(), "--password-file", file)
	if o := r.exits(3, "sync", "--once", "--json"); !strings.Contains(o.out, `"fetched":1,`) ||
		!strings.Contains(o.out, `"quarantined":2,`) {
		t.Fatalf("sync: %s", o.out)
	}
	o := r.exits(0, "errors", "quarantine", "--json")
	if !strings.Contains(o.out, `"uid":2,`) || !strings.Contains(o.out, `"claimed":40000,`) ||
		strings.Count(o.out, "\n") != 2 {
		t.Errorf("errors quarantine: %s", o.out)
	}
	for _, one := range [][]string{{"status"}, {"queue", "list"}, {"errors"}, {"errors", "quarantine"}} {
		if o := r.exits(0, one...); !strings.Contains(o.out+o.errs, "quarantine") && !strings.Contains(o.out, "came)") {
			t.Errorf("%s does not show it: %s%s", one, o.out, o.errs)
		}
	}

	// What the server will give of it.
	for id, want := range map[int][]byte{1: body[:5000], 2: body} {
		name := fmt.Sprint(file, id)
		o := r.exits(3, "errors", "raw", fmt.Sprint(id), "--out", name, "--json")
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 || !bytes.HasPrefix(want, got) || len(got) == len(want) {
			t.Errorf("%d bytes of message %d came", len(got), id)
		}
		for _, say := range []string{fmt.Sprintf(`"bytes":%d,"claimed":%d,`, len(got), len(want)),
			fmt.Sprintf(`"sha256":"%x"`, sha256.Sum256(got)), `"whole":false`} {
			if !strings.Contains(o.out, say) {
				t.Errorf("errors raw %d lacks %s: %s", id, say, o.out)
			}
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
	// It gives less by now, or nothing, or refuses: what came before is kept, also over the end of the process.
	for i, now := range []script.Faults{
		{Part: func(p script.Part) script.Fault {
			if p.Most == 0 && strings.Contains(p.Items, "BODY") {
				return script.Empty
			}
			return script.Omit
		}},
		{Part: func(script.Part) script.Fault { return script.Omit }},
		{On: func(c script.Command) script.Action {
			if c.Name == "EXAMINE" {
				return "NO not now"
			}
			return script.Answer
		}},
	} {
		s.Misbehave(now)
		for id, want := range map[int][]byte{1: body[:5000], 2: body} {
			name := fmt.Sprint(file, "kept", i, id)
			o := r.exits(3, "errors", "raw", fmt.Sprint(id), "--out", name, "--json")
			got, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 0 || !bytes.HasPrefix(want, got) || len(got) == len(want) {
				t.Errorf("%d bytes of message %d are kept", len(got), id)
			}
			for _, say := range []string{fmt.Sprintf(`"bytes":%d,"claimed":%d,"sha256":"%x"`, len(got), len(want),
				sha256.Sum256(got)), `"whole":false,"kept":true,"why":"`} {
				if !strings.Contains(o.out, say) {
					t.Errorf("errors raw %d lacks %s: %s", id, say, o.out)
				}
			}
		}
	}
	if o := r.exits(3, "errors", "raw", "1", "--out", file+"said"); !strings.Contains(o.errs,
		"came in an earlier try") {
		t.Errorf("errors raw: %s%s", o.out, o.errs)
	}
	s.Misbehave(script.Faults{Part: bad})

	r.refuses(2, []string{"errors", "raw", "1", "--out", file + "1"}, []string{"is there already"})
	r.refuses(2, []string{"errors", "raw", "9", "--out", file},
		[]string{"no message in quarantine", "mailcote errors quarantine"})
	r.refuses(2, []string{"errors", "raw", "1"}, []string{"--out is missing"})
	r.refuses(2, []string{"errors", "retry"}, []string{"which messages?"})

	owner, err := storage.Open(t.Context(), r.store, storage.Options{Holder: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	r.refuses(75, []string{"errors", "raw", "2", "--out", file + "4"}, []string{"somebody"})
	r.refuses(75, []string{"errors", "retry", "2"}, []string{"somebody"})
	r.exits(0, "errors", "quarantine")
	if err := owner.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(file + "4"); !os.IsNotExist(err) {
		t.Errorf("a file is left: %v", err)
	}

	// The server is mended.
	s.Misbehave(script.Faults{})
	if o := r.exits(0, "errors", "raw", "2", "--out", file+"3"); !strings.Contains(o.out,
		"40,000 bytes of 40,000 in ") || !strings.Contains(o.out, fmt.Sprintf("%x", sha256.Sum256(body))) {
		t.Errorf("errors raw: %s%s", o.out, o.errs)
	}
	r.exits(0, "errors", "retry", "1")
	if o := r.exits(0, "queue", "list", "--json"); !strings.Contains(o.out, `"task_type":"folder_sync"`) {
		t.Errorf("the queue does not show the retry: %s", o.out)
	}
	if n := r.number(`SELECT count(*) AS n FROM sync_quarantine WHERE asked`); n != 1 {
		t.Errorf("%d are asked for", n)
	}
	r.exits(0, "errors", "retry", "--all")
	if n := r.number(`SELECT count(*) AS n FROM sync_quarantine WHERE asked`); n != 2 {
		t.Errorf("%d are asked for", n)
	}
	if o := r.exits(0, "sync", "--once", "--json"); !strings.Contains(o.out, `"fetched":2,`) {
		t.Errorf("after mending: %s", o.out)
	}
	if n := r.number(`SELECT count(*) AS n FROM (
		SELECT 1 FROM blob WHERE state = 'staged' UNION ALL SELECT 1 FROM meta WHERE key GLOB 'came:*')`); n != 0 {
		t.Errorf("%d pieces of them are left", n)
	}
	r.sound()
}
