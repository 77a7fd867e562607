package save

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"mailcote/testkit/form"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ sender, mediaType, want string }{
		{"invoice.pdf", "application/pdf", "invoice.pdf"},
		{"Rechnung März 2026.pdf", "", "Rechnung März 2026.pdf"},
		{"請求書.pdf", "", "請求書.pdf"},
		{"../../etc/passwd", "", "passwd"},
		{"/etc/passwd/", "", "passwd_"},
		{`C:\Users\ann\Desktop\a.doc`, "", "a.doc"},
		{`..\..\evil.bat`, "", "evil.bat"},
		{"C:evil", "", "C_evil"},
		{"a.txt:stream", "", "a.txt_stream"},
		{"a／b＼c", "", "a_b_c"},
		{".bashrc", "", "bashrc"},
		{"...", "text/plain", "part 2.1.txt"},
		{"..", "", "part 2.1"},
		{".", "", "part 2.1"},
		{"/", "", "part 2.1"},
		{"", "image/png", "part 2.1.png"},
		{" \t\r\n", "message/rfc822", "part 2.1.eml"},
		{"\u202e\u200f\x00\x1b", "", "part 2.1"},
		{"\u3164\u034f\u115f", "", "part 2.1"},
		{"a\u3164.pdf", "", "a.pdf"},
		{"invoice\u202efdp.exe", "", "invoicefdp.exe"},
		{"a\x00b\nc\x1b[31m.txt", "", "ab c[31m.txt"},
		{"trailing. . .", "", "trailing"},
		{"  both ends  ", "", "both ends"},
		{"-rf", "", "_rf"},
		{"~root", "", "_root"},
		{"con", "", "_con"}, {"NUL.txt", "", "_NUL.txt"}, {"Aux .x.y", "", "_Aux .x.y"}, {"com1.log", "", "_com1.log"},
		{"LPT².x", "", "_LPT².x"}, {"CONIN$", "", "_CONIN$"},
		{"console.txt", "", "console.txt"}, {"COM12", "", "COM12"}, {"COM", "", "COM"},
		{"bad\xffbytes", "", "bad_bytes"},
		{"a<b>c|d?e*f\"g", "", "a_b_c_d_e_f_g"},
		{"👩\u200d👩\u200d👧.jpg", "", "👩\u200d👩\u200d👧.jpg"},
		{strings.Repeat("é", 300) + ".jpeg", "", strings.Repeat("é", 97) + ".jpeg"},
		{strings.Repeat("x", 300), "", strings.Repeat("x", 200)},
		{"x." + strings.Repeat("y", 300), "", "x." + strings.Repeat("y", 198)},
	} {
		if got := Name(c.sender, c.mediaType, "2.1"); got != c.want {
			t.Errorf("%q: %q, want %q", c.sender, got, c.want)
		}
	}
}

// hostileName is a name that a sender may give to a file.
func hostileName(r *rand.Rand) string {
	pieces := []string{"..", "/", `\`, ".", "a", "etc", "passwd", "C:", "CON", "nul", "com1", ":", "\x00", "\n",
		"\u202e",
		"\u200d", "／", "＼", "~", "-", " ", "$HOME", "%2e%2e%2f", "..%c0%af", "\xff", "\xc0\xae", "*", "?", "|", "é",
		"e\u0301",
		"界", "🏴", "É", "E\u0301", "A", "ETC", "ﬁ", "ſ", "ı", "\r", "\x7f", "\u2028", "\u2066", "aux.", "con .",
		strings.Repeat("é", 130), strings.Repeat("\u0301", 200), strings.Repeat("../", 90),
		strings.Repeat("x", 250), ".lnk", "outside", "link", "dir", "\ufeff", "`id`", "..\\",
		"//host/share", `\\?\`}
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// TestHostileNamesStayInside saves files (100,000 in its long form) into a
// directory that also has links out of it, pipes and directories. Each is saved once, and nothing is changed
// anywhere else.
func TestHostileNamesStayInside(t *testing.T) {
	outer := t.TempDir()
	inner := filepath.Join(outer, "inner")
	for _, dir := range []string{inner, filepath.Join(inner, "dir"), filepath.Join(outer, "outside")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": "../outside", "passwd": "../outside/new", "etc": "/etc",
		"a": "a"} {
		if err := os.Symlink(target, filepath.Join(inner, link)); err != nil {
			t.Fatal(err)
		}
	}
	pipes(t, inner, "passwd_", "e\u0301", "_CON", "part 7") // a write into one would wait for ever
	d, err := Open(inner)
	if err != nil {
		t.Fatal(err)
	}
	reserved := regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])( *\.|$)|[<>:"/\\|?*]|[. ]$|^[-.~ ]`)
	seed, files := uint64(11), 10_000
	if form.Long() {
		seed, files = 0, 100_000
	}
	r := rand.New(rand.NewPCG(form.Seed(t, seed), 30))
	saved := map[string]string{}
	for i := range files {
		name, body := hostileName(r), fmt.Sprint("body ", i)
		path, size, err := d.Save(Name(name, "application/x", fmt.Sprint(i)), strings.NewReader(body))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		base := filepath.Base(path)
		if filepath.Dir(path) != inner || size != int64(len(body)) || saved[path] != "" {
			t.Fatalf("%q: saved as %q, %d bytes", name, path, size)
		}
		if reserved.MatchString(base) || !utf8.ValidString(base) || len(base) > 255 ||
			strings.ContainsFunc(base, unicode.IsControl) {
			t.Errorf("%q: unsafe name %q", name, base)
		}
		saved[path] = body
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for path, body := range saved {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
			t.Fatalf("%q: %v, %v", path, info, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != body {
			t.Fatalf("%q has %q, want %q: %v", path, got, body, err)
		}
	}
	all := 0
	if err := filepath.WalkDir(outer, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			all++
		}
		return err
	}); err != nil || all != files {
		t.Errorf("%d regular files below the directory and its parent, want %d; %v", all, files, err)
	}
	t.Logf("%d hostile names, %d files inside", files, len(saved))
}

// TestNothingIsOverwritten: a name that is taken gets a number, whatever took it,
// and in another case too where the file system sees no case.
func TestNothingIsOverwritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	for _, want := range []string{"a.tar.gz", "a.tar (2).gz", "a.tar (3).gz"} {
		d, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		path, _, err := d.Save("a.tar.gz", strings.NewReader(want))
		if err != nil || path != filepath.Join(dir, want) {
			t.Errorf("%q, %v; want %q", path, err, want)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.tar.gz")); err != nil || string(got) != "a.tar.gz" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestHalfAFileIsRemoved: what could not be read whole leaves nothing.
func TestHalfAFileIsRemoved(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // only read
	broken := errors.New("broken")
	if _, _, err = d.Save("a", iotest.TimeoutReader(iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func FuzzName(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		f.Add(hostileName(r), "text/plain")
	}
	f.Fuzz(func(t *testing.T, sender, mediaType string) {
		name := Name(sender, mediaType, "1")
		if name == "" || len(name) > 255 || !utf8.ValidString(name) || !filepath.IsLocal(name) ||
			filepath.Base(name) != name ||
			strings.ContainsAny(name, "<>:\"/\\|?*\x00\n") {
			t.Errorf("%q: %q", sender, name)
		}
	})
}
