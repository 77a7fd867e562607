package export

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"mailcote/engine/filename"
	"mailcote/testkit/form"
)

// hostile are names that lead out of a directory, hide, mean something else, or differ only to a machine.
func hostile() []string {
	return []string{"", ".", "..", "...", "../..", "../../etc/passwd", "/etc/passwd", `..\..\x`, `C:\x`, "C:x",
		"a/../../b",
		"a\x00b", "\x00", "a\nb", "a\r\nb", "\x1b[2J", "CON", "con", "Con.txt", "NUL", "nul.tar.gz", "COM1", "com¹",
		"LPT9.x",
		"COM10", "CONIN$", "AUX ", "prn.", "name.", "name ", "name..", " name", "~root", "-rf", "--", "a:b",
		"a:b:$DATA",
		"a*b", "a?b", `a"b`, "a<b>c|d", "\u202egnp.exe", "a\u200bb", "\ufeffa", "a\u2028b", "\u0301", "Café",
		"Cafe\u0301",
		"CAFÉ", "ﬁle", "file", "FILE", "ſecret", "secret", "K", "\u212a", "ı", "I", "i", "İ", "ß", "SS", "ss", "ẞ",
		"Σ", "ς",
		"INBOX", "inbox", "Inbox", "INBOX/", "/INBOX", "INBOX//x", "cur", "new", "tmp", ".cur", "maildirfolder",
		"dovecot-keywords", ".mailcote-export", ".mailcote-export.partial", "x.partial", "x.mbox", "x",
		"X.mbox.partial",
		"\xff\xfe", "a\xffb", "\xed\xa0\x80", "&AOk-", "&", "&-", "%", "100%", "a.b", "a/b", "a.b/c", "日本語", "📬",
		strings.Repeat("a", 300), strings.Repeat("a", 300) + "b", strings.Repeat("é", 300), strings.Repeat("📬", 100),
		strings.Repeat("a/", 500), strings.Repeat("../", 100), strings.Repeat(".", 300), strings.Repeat("\u0301",
			300),
		"NUL.", "nul ", "a\u00a0", "a\u3000b", "Ａ", "A"}
}

// component wants a name to be a name of one component on every system.
func component(t *testing.T, name string) {
	t.Helper()
	switch {
	case name == "", len(name) > 200, !utf8.ValidString(name), strings.ContainsAny(name, "/\\:*?\"<>|\x00"),
		!filepath.IsLocal(name), filepath.Base(name) != name, strings.HasSuffix(name, "."),
		strings.HasSuffix(name, " "),
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.Errorf("%q is no safe name", name)
	}
}

// apart wants that no two names are one in letters of either case or another normal form.
func apart(t *testing.T, names []string) {
	t.Helper()
	fold, seen := cases.Fold(), map[string]string{}
	for _, one := range names {
		for _, form := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC} {
			key := fmt.Sprint(form) + fold.String(form.String(one))
			if other, twice := seen[key]; twice {
				t.Errorf("%q and %q are one file", one, other)
			}
			seen[key] = one
		}
	}
}

func listOf(texts []string) []named {
	var all []named
	seen := map[string]bool{}
	for _, one := range texts {
		if !seen[one] { // IMAP has each name once
			all = append(all, named{raw: one, path: strings.ToValidUTF8(one, "\ufffd"), delimiter: "/"})
			seen[one] = true
		}
	}
	return all
}

func checkNames(t *testing.T, texts []string) {
	t.Helper()
	all := listOf(texts)
	files, dirs := fileNames(all), maildirNames(all)
	apart(t, files)
	apart(t, dirs)
	for i, one := range all {
		component(t, files[i])
		if files[i][0] == '.' || files[i][0] == '-' || files[i][0] == '~' || filename.Device(files[i]) {
			t.Errorf("%q became %q", one.path, files[i])
		}
		if dirs[i] == "" && strings.EqualFold(one.path, "INBOX") {
			continue
		}
		component(t, dirs[i])
		if dirs[i][0] != '.' || strings.Contains(dirs[i], "..") || strings.ContainsFunc(dirs[i], func(r rune) bool {
			return r > '~'
		}) {
			t.Errorf("%q became %q", one.path, dirs[i])
		}
	}
}

// mixes makes n hostile names, of which each is a mix of others, or one of them in another case or normal form.
func mixes(random *rand.Rand, n int) []string {
	all, first := hostile(), hostile()
	for len(all) < n {
		var b strings.Builder
		for range 1 + random.IntN(3) {
			b.WriteString(first[random.IntN(len(first))])
			b.WriteString([]string{"", "/", ".", " ", "\\", "é", "\x00"}[random.IntN(7)])
		}
		name := b.String()
		switch random.IntN(8) {
		case 0:
			name = strings.ToUpper(all[random.IntN(len(all))])
		case 1:
			name = norm.NFD.String(all[random.IntN(len(all))])
		case 2:
			name = all[random.IntN(len(all))] + []string{" ", ".", "\u200d", "\u202e", "/"}[random.IntN(5)]
		}
		all = append(all, name)
	}
	return all
}

// TestNames makes names of hostile ones, 100,000 in the long form.
func TestNames(t *testing.T) {
	n := 5_000
	if form.Long() {
		n = 100_000
	}
	checkNames(t, mixes(rand.New(rand.NewPCG(form.Seed(t, 7), 0)), n))
}

func TestNamesOfThisKind(t *testing.T) {
	for _, one := range []struct{ path, file, dir string }{
		{"INBOX", "INBOX", ""},
		{"Archive/2026/Bücher", "Archive.2026.Bücher", ".Archive.2026.B&APw-cher"},
		{"a&b", "a&b", ".a&-b"},
		{"日本語", "日本語", ".&ZeVnLIqe-"},
		{"Sent Items", "Sent Items", ".Sent Items"},
		{"1.2", "1.2", ".1_2~cf4fd5db2e2a"},
	} {
		n := []named{{raw: one.path, path: one.path, delimiter: "/"}}
		dir := maildirNames(n)[0]
		if base, _, ok := strings.Cut(one.dir, "~"); ok {
			one.dir = base
			dir, _, _ = strings.Cut(dir, "~")
		}
		if file := fileNames(n)[0]; file != one.file || dir != one.dir {
			t.Errorf("%s: %q and %q, want %q and %q", one.path, file, dir, one.file, one.dir)
		}
	}
}

// TestNamesStay has mailboxes come and go around one that needs a name of its own: its name does not depend on them.
func TestNamesStay(t *testing.T) {
	few := fileNames(listOf([]string{"Work", "work"}))
	more := fileNames(listOf([]string{"Work", "WORK", "work", "Wörk"}))
	if few[0] != "Work" || more[0] != "Work" || few[1] != more[2] || !strings.HasPrefix(few[1], "work~") {
		t.Errorf("%q, %q", few, more)
	}
}

func FuzzNames(f *testing.F) {
	for _, one := range hostile() {
		f.Add(one, "a/b", ".")
	}
	f.Fuzz(func(t *testing.T, one, other, third string) { checkNames(t, []string{one, other, third, "INBOX"}) })
}

// TestNamesOnDisk makes files of all names at once. Each is its own, and none is elsewhere.
func TestNamesOnDisk(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // nothing is kept
	names := fileNames(listOf(hostile()))
	for _, name := range names {
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) != len(names) {
		t.Errorf("%d files of %d names, %v", len(there), len(names), err)
	}
}
