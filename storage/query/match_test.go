package query

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
	"pgregory.net/rapid"
)

// openIndex makes the search table of the schema, in memory.
func openIndex(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = db.Exec(`CREATE VIRTUAL TABLE search USING fts5 (subject, people, text, attachments,
		content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2")`)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// failer is the part of *testing.T that *rapid.T has too.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

type mail struct{ from, to, subject, text, files string }

func (m mail) index(t failer, db *sql.DB, id int) {
	t.Helper()
	_, err := db.Exec(`INSERT OR REPLACE INTO search (rowid, subject, people, text, attachments)
		VALUES (?, ?, ?, ?, ?)`,
		id, Index(m.subject), IndexPeople(m.from, m.to), Index(m.text), Index(m.files))
	if err != nil {
		t.Fatal(err)
	}
}

// run gives the rowids of 1..n that the terms of q let through, as the store will ask for them.
func run(t failer, db *sql.DB, q Query, n int) []int {
	t.Helper()
	var found []int
	for id := 1; id <= n; id++ {
		if expr := q.FTS(); expr != "" && !matches(t, db, expr, id) {
			continue
		}
		if expr := q.Excluded(); expr != "" && matches(t, db, expr, id) {
			continue
		}
		found = append(found, id)
	}
	return found
}

func matches(t failer, db *sql.DB, expr string, id int) bool {
	t.Helper()
	var yes bool
	if err := db.QueryRow(`SELECT EXISTS (SELECT 1 FROM search WHERE search MATCH ? AND rowid = ?)`,
		expr, id).Scan(&yes); err != nil {
		t.Fatalf("MATCH %q: %v", expr, err)
	}
	return yes
}

func TestMatch(t *testing.T) {
	mails := []mail{
		{"Ann Müller <ann@example.org>", "Bob <bob@example.net>", "Invoice for March", "Please pay by Friday.",
			"invoice-2026.pdf"},
		{"Bob <bob@example.net>", "Ann Müller <ann@example.org>, Joanna <jo@example.org>", "Re: Invoice for March",
			"Not AND never! (see note)", ""},
		{"田中太郎 <tanaka@example.jp>", "ann@example.org", "東京都のサーバー", "会議は東京で行います。A社", "報告書.pdf"},
		{"김철수 <kim@example.kr>", "list@example.org", "회의실 예약", "Café \"quoted\" c\u0327a", ""},
	}
	db := openIndex(t)
	for i, m := range mails {
		m.index(t, db, i+1)
	}
	tests := []struct {
		in   string
		want []int
	}{
		{"invoice", []int{1, 2}},
		{"INVOICE march", []int{1, 2}},
		{"inv", nil},
		{"inv*", []int{1, 2}},
		{"invoice-2026", []int{1}},
		{`"for march"`, []int{1, 2}},
		{`"march for"`, nil},
		{"ann", []int{1, 2, 3}},
		{"from:ann", []int{1}},
		{"from:ANN*", []int{1}},
		{"from:muller", []int{1}},
		{"from:Müller", []int{1}},
		{"from:mu\u0308ller", []int{1}},
		{`from:"Ann M"`, nil},
		{`from:"ann muller"`, []int{1}},
		{"from:ann@example.org", []int{1}},
		{"from:example.org", []int{1}},
		{"from:joanna", nil},
		{"to:ann", []int{2, 3}},
		{"to:jo", []int{2}},
		{"to:jo*", []int{2}},
		{"to:bob from:ann", []int{1}},
		{"subject:pay", nil},
		{"subject:invoice", []int{1, 2}},
		{"invoice -friday", []int{2}},
		{"-invoice", []int{3, 4}},
		{"-from:ann -from:bob", []int{3, 4}},
		{"AND", []int{2}},
		{"(see", []int{2}},
		{`cafe`, []int{4}},
		{`say"quoted`, nil},
		{`x"quoted`, nil},
		{"ça", []int{4}},
		// CJK
		{"東京", []int{3}},
		{"京都", []int{3}},
		{"東京都", []int{3}},
		{"都京", nil},
		{"サーバー", []int{3}},
		{"サーハ\u3099ー", []int{3}}, // as macOS writes it
		{"subject:東京", []int{3}},
		{"subject:会議", nil},
		{"東", []int{3}},
		{"A社", []int{3}},
		{"from:田中", []int{3}},
		{"to:田中", nil},
		{"報告書.pdf", []int{3}},
		{"会議は東京で行います", []int{3}},
		{"회의", []int{4}},
		{"의실 예약", []int{4}},
		{"東京*", []int{3}},
	}
	for _, tt := range tests {
		q, err := Parse(tt.in, nil)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if got := run(t, db, q, len(mails)); !slices.Equal(got, tt.want) {
			t.Errorf("%q found %v, want %v (%s)", tt.in, got, tt.want, q.FTS())
		}
	}
}

func TestFTSForm(t *testing.T) {
	for in, want := range map[string][2]string{
		"":              {"", ""},
		"is:unread":     {"", ""},
		`a "b" c*`:      {`"a" AND "b" AND "c"*`, ""},
		`a -b -to:c`:    {`("a") NOT ("b" OR people : "` + string(toMark) + `c")`, ""},
		"-a -subject:b": {"", `"a" OR subject : "b"`},
		`x"y`:           {`"x""y"`, ""},
		"a\x00b":        {`"a b"`, ""},
	} {
		q, err := Parse(in, nil)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got := [2]string{q.FTS(), q.Excluded()}; got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// Whatever words a message holds, any stretch of them is found as a phrase, in every field and only in its own; and any
// part of a CJK run of at least two characters is found as a word.
func TestFindsWhatIsThere(t *testing.T) {
	db := openIndex(t)
	word := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9äöüßéøłñ]{1,8}`), rapid.StringMatching(`[а-яα-ω]{1,8}`),
		rapid.StringMatching(`[一-龥ぁ-んァ-ヴ가-힣]{1,6}`), rapid.StringMatching(`[a-z]{1,3}[一-龥]{2,3}[0-9]{1,2}`))
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(word, 1, 8).Draw(t, "words")
		separator := rapid.SampledFrom([]string{" ", ", ", "\n", " <", "/"}).Draw(t, "separator")
		text := strings.Join(words, separator)
		all := []mail{{from: text}, {to: text}, {subject: text}, {text: text}, {files: text}}
		for i, m := range all {
			m.index(t, db, i+1)
		}
		from := rapid.IntRange(0, len(words)-1).Draw(t, "first")
		to := rapid.IntRange(from+1, len(words)).Draw(t, "end")
		part := strings.Join(words[from:to], separator)
		for prefix, want := range map[string][]int{"": {1, 2, 3, 4, 5}, "from:": {1}, "to:": {2}, "subject:": {3}} {
			q, err := Parse(prefix+`"`+part+`"`, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := run(t, db, q, len(all)); !slices.Equal(got, want) {
				t.Fatalf("%s%q in %q: %v, want %v", prefix, part, text, got, want)
			}
		}
		run1 := []rune(rapid.StringMatching(`[一-龥ぁ-んァ-ヴ가-힣]{2,12}`).Draw(t, "run"))
		mail{text: "ab" + string(run1) + "。"}.index(t, db, 1)
		a := rapid.IntRange(0, len(run1)-2).Draw(t, "a")
		b := rapid.IntRange(a+2, len(run1)).Draw(t, "b")
		q, err := Parse(string(run1[a:b]), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := run(t, db, q, 1); len(got) != 1 {
			t.Fatalf("%q not found in %q", string(run1[a:b]), string(run1))
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "hello wor* \"a b\" -c from:ann to:\"Bob C\" subject:x before:2026-01-02 after:2026-01-02 is:unread " +
			"is:flagged",
		"東京 A社 -회의", "\"", "a\x00b", "\xff\xfe", "x\"y*", "-- -* NEAR(a b) {a}:b ^c a+b", "from:\u0301a*", "\ue000x",
		"\U00011f02",
	} {
		f.Add(seed)
	}
	db := openIndex(f)
	if _, err := db.Exec(`INSERT INTO search (rowid, text) VALUES (1, 'hello')`); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Parse(s, nil)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Errorf("the error is more than a plain line: %q", err)
			}
			return
		}
		if len(q.Match) > MaxTerms {
			t.Errorf("%d terms", len(q.Match))
		}
		if q.FTS() != "" && q.Excluded() != "" {
			t.Error("both FTS and Excluded")
		}
		for _, expr := range []string{q.FTS(), q.Excluded()} {
			if expr == "" {
				continue
			}
			var n int
			if err := db.QueryRow(`SELECT count(*) FROM search WHERE search MATCH ?`, expr).Scan(&n); err != nil {
				t.Errorf("%q gives MATCH %q: %v", s, expr, err)
			}
		}
	})
}

func BenchmarkIndex(b *testing.B) {
	for name, text := range map[string]string{"latin": "the quick brown fox ", "cjk": "東京都のサーバー "} {
		text = strings.Repeat(text, 1000)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Index(text)
			}
		})
	}
}
