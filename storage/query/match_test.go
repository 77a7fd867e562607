package query

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
	"pgregory.net/rapid"
)

// tokenizers are those of the tables, by the spelling of what they hold.
var tokenizers = map[Spelling]string{Bigrams: "unicode61 remove_diacritics 2", Folded: "ascii"}

// openIndex makes a search table of the schema, in memory.
func openIndex(t testing.TB, spelling Spelling) *sql.DB {
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
		content = '', contentless_delete = 1, tokenize = "` + tokenizers[spelling] + `")`)
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

type mail struct {
	from, to, subject, text, files string
	others
}

type others struct{ cc, bcc string }

func (m mail) index(t failer, db *sql.DB, spelling Spelling, id int) {
	t.Helper()
	_, err := db.Exec(`INSERT OR REPLACE INTO search (rowid, subject, people, text, attachments)
		VALUES (?, ?, ?, ?, ?)`,
		id, spelling.Text(m.subject), spelling.People(People{From: m.from, To: m.to, Cc: m.cc, Bcc: m.bcc}),
		spelling.Text(m.text), spelling.Text(m.files))
	if err != nil {
		t.Fatal(err)
	}
}

// run gives the rowids of 1..n that q lets through, as the store will ask for them.
func run(t failer, db *sql.DB, spelling Spelling, q Query, n int) []int {
	t.Helper()
	m, ok := spelling.Match(q.Expr)
	if !ok && q.Expr != nil {
		t.Fatalf("%s is no question for the index", form(q.Expr))
	}
	var found []int
	for id := 1; id <= n; id++ {
		if q.Expr == nil || matches(t, db, m.Text, id) != m.Not {
			found = append(found, id)
		}
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
			"invoice-2026.pdf", others{}},
		{"Bob <bob@example.net>", "Ann Müller <ann@example.org>, Joanna <jo@example.org>", "Re: Invoice for March",
			"Not AND never! (see note)", "", others{}},
		{"田中太郎 <tanaka@example.jp>", "ann@example.org", "東京都のサーバー", "会議は東京で行います。A社", "報告書.pdf", others{}},
		{"김철수 <kim@example.kr>", "list@example.org", "회의실 예약", "Café \"quoted\" c\u0327a", "", others{}},
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
		{`"(see"`, []int{2}},
		{"(see never)", []int{2}},
		{"from:(ann OR bob)", []int{1, 2}},
		{"invoice OR 東京", []int{1, 2, 3}},
		{"friday OR -invoice", []int{1, 3, 4}},
		{"-(invoice OR 東京)", []int{4}},
		{"-(invoice friday)", []int{2, 3, 4}},
		{"(invoice -friday) OR subject:東京", []int{2, 3}},
		{"-from:ann OR -to:bob", []int{2, 3, 4}},
		{"filename:pdf", []int{1, 3}},
		{"filename:invoice", []int{1}},
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
		{"ー", []int{3}},
		{"A社", []int{3}},
		{"from:田中", []int{3}},
		{"to:田中", nil},
		{"報告書.pdf", []int{3}},
		{"会議は東京で行います", []int{3}},
		{"회의", []int{4}},
		{"의실 예약", []int{4}},
		{"東京*", []int{3}},
	}
	for spelling := range tokenizers {
		db := openIndex(t, spelling)
		for i, m := range mails {
			m.index(t, db, spelling, i+1)
		}
		for _, tt := range tests {
			q, err := Parse(tt.in, nil)
			if err != nil {
				t.Errorf("%q: %v", tt.in, err)
				continue
			}
			if got := run(t, db, spelling, q, len(mails)); !slices.Equal(got, tt.want) {
				t.Errorf("spelling %d: %q found %v, want %v", spelling, tt.in, got, tt.want)
			}
		}
	}
}

func TestMatchForm(t *testing.T) {
	for in, want := range map[string]Match{
		`a "b" c*`:      {`("a" AND "b" AND "c"*)`, false},
		`a -b -to:c`:    {`(("a") NOT ("b" OR people : "` + string(toSign) + `c"))`, false},
		"-a -subject:b": {`("a" OR subject : "b")`, true},
		"-a":            {`"a"`, true},
		"a OR b":        {`("a" OR "b")`, false},
		"a OR -b":       {`(("b") NOT ("a"))`, true},
		"-a OR -b":      {`("a" AND "b")`, true},
		`x"y`:           {`"x y"`, false},
		"a\x00b":        {`"a b"`, false},
		"東京都 x":         {`("東京 京都" AND "x")`, false},
		`"東京都 x"`:       {`"東京 京都 都 x"`, false},
		"都":             {`"都"*`, false},
	} {
		q, err := Parse(in, nil)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		got, ok := Folded.Match(q.Expr)
		want.Text = strings.NewReplacer(" AND ", " & ", " OR ", " | ", " NOT ", " - ").Replace(want.Text)
		got.Text = strings.NewReplacer(" AND ", " & ", " OR ", " | ", " NOT ", " - ").Replace(got.Text)
		if !ok || got != want {
			t.Errorf("%q gives %v, want %v", in, got, want)
		}
	}
}

// Whatever words a message holds, any stretch of them is found as a phrase, in every field and only in its own; and any
// part of a run is found as a word, its last character too.
func TestFindsWhatIsThere(t *testing.T) {
	db := openIndex(t, Folded)
	word := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9äöüßéøłñ]{1,8}`), rapid.StringMatching(`[а-яα-ω]{1,8}`),
		rapid.StringMatching(`[一-龥ぁ-んァ-ヴ가-힣]{1,6}`), rapid.StringMatching(`[a-z]{1,3}[一-龥]{2,3}[0-9]{1,2}`),
		rapid.StringMatching(`[ก-ฮะาเแโใไ]{1,7}`),
		rapid.SampledFrom([]string{"🎉", "❤️", "ﬁn", "１２", "कुत्ता", "שָׁלוֹם"}))
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(word, 1, 8).Draw(t, "words")
		separator := rapid.SampledFrom([]string{" ", ", ", "\n", " <", "/"}).Draw(t, "separator")
		text := strings.Join(words, separator)
		all := []mail{{from: text}, {to: text}, {subject: text}, {text: text}, {files: text},
			{others: others{cc: text}},
			{others: others{bcc: text}}}
		for i, m := range all {
			m.index(t, db, Folded, i+1)
		}
		from := rapid.IntRange(0, len(words)-1).Draw(t, "first")
		to := rapid.IntRange(from+1, len(words)).Draw(t, "end")
		part := strings.Join(words[from:to], separator)
		for prefix, want := range map[string][]int{"": {1, 2, 3, 4, 5}, "from:": {1}, "to:": {2}, "subject:": {3},
			"filename:": {5}, "cc:": {6}, "bcc:": {7}} {
			q, err := Parse(prefix+`"`+part+`"`, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := run(t, db, Folded, q, len(all)); !slices.Equal(got, want) {
				t.Fatalf("%s%q in %q: %v, want %v", prefix, part, text, got, want)
			}
		}
		run1 := []rune(rapid.OneOf(rapid.StringMatching(`[一-龥ぁ-んァ-ヴ가-힣]{2,12}`),
			rapid.StringMatching(`[ก-ฮะ-ูเ-ไ่-๋]{2,12}`), rapid.StringMatching(`[က-အာ-္်-ှ]{2,12}`),
			rapid.StringMatching(`[ກຂຄງຈຊຍດຕາ-ູເ-ໄ]{2,12}`), rapid.StringMatching(`[ក-ឳា-ៈ]{2,12}`)).Draw(t, "run"))
		mail{text: "ab" + string(run1) + "。"}.index(t, db, Folded, 1)
		a := rapid.IntRange(0, len(run1)-1).Draw(t, "a")
		b := rapid.IntRange(a+1, len(run1)).Draw(t, "b")
		q := Query{Expr: Term{Text: string(run1[a:b])}}
		if got := run(t, db, Folded, q, 1); len(got) != 1 {
			t.Fatalf("%q not found in %q", string(run1[a:b]), string(run1))
		}
	})
}

// FTS5 and a reading of the words one by one agree on every expression.
func TestExpressions(t *testing.T) {
	db := openIndex(t, Folded)
	words := []string{"red", "green", "blue", "東京都", "都", "ไทย", "🎉"}
	columns := []Column{Anywhere, Subject, From, To, Cc, Bcc, Filename}
	var expr func(t *rapid.T, depth int) Expr
	expr = func(t *rapid.T, depth int) Expr {
		switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case depth > 0 && kind < 2:
			n := rapid.IntRange(2, 4).Draw(t, "parts")
			var all []Expr
			for range n {
				all = append(all, expr(t, depth-1))
			}
			if kind == 0 {
				return And(all)
			}
			return Or(all)
		case depth > 0 && kind == 2:
			return Not{expr(t, depth-1)}
		}
		return Term{Column: rapid.SampledFrom(columns).Draw(t, "column"),
			Text: rapid.SampledFrom(words).Draw(t, "word")}
	}
	rapid.Check(t, func(t *rapid.T) {
		var m mail
		for _, field := range []*string{&m.from, &m.to, &m.subject, &m.text, &m.files, &m.cc, &m.bcc} {
			*field = strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 2).Draw(t, "field"), " ")
		}
		m.index(t, db, Folded, 1)
		e := expr(t, 4)
		if got, want := run(t, db, Folded, Query{Expr: e}, 1), m.holds(e); (len(got) == 1) != want {
			t.Fatalf("%s in %+v: found %v", form(e), m, got)
		}
	})
}

// holds reads an expression of whole words and runs by the letter.
func (m mail) holds(e Expr) bool {
	switch e := e.(type) {
	case And:
		return !slices.ContainsFunc(e, func(e Expr) bool { return !m.holds(e) })
	case Or:
		return slices.ContainsFunc(e, m.holds)
	case Not:
		return !m.holds(e.Expr)
	case Term:
		for column, text := range map[Column]string{Subject: m.subject, From: m.from, To: m.to, Filename: m.files,
			Cc: m.cc, Bcc: m.bcc, "text": m.text} {
			if e.Column != column && (e.Column != Anywhere || column == Cc || column == Bcc) {
				continue // the plain words of Cc and Bcc come with the recipients
			}
			if strings.Contains(text, e.Text) {
				return true
			}
		}
	}
	return false
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "hello wor* \"a b\" -c from:ann to:\"Bob C\" subject:x before:2026-01-02 after:2026-01-02 is:unread " +
			"is:flagged",
		"東京 A社 -회의", "\"", "a\x00b", "\xff\xfe", "x\"y*", "-- -* NEAR(a b) {a}:b ^c a+b", "from:\u0301a*", "\ue000x",
		"\U00011f02", "(a OR -(b c)) from:(x OR \"y z\") in:a* account:b has:attachment larger:1.5M smaller:3",
		"older_than:3d newer_than:1y before:yesterday after:2w NOT a AND b", "ไทย🎉 ｆｕｌｌ ﬁ ß", "((((((((((a))))))))))",
		strings.Repeat("(a OR ", 20) + "b" + strings.Repeat(")", 20),
		strings.Repeat("-(", 19) + "a" + strings.Repeat(")", 19),
	} {
		f.Add(seed)
	}
	tables := map[Spelling]*sql.DB{}
	for spelling := range tokenizers {
		tables[spelling] = openIndex(f, spelling)
		mail{text: "hello"}.index(f, tables[spelling], spelling, 1)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Parse(s, nil)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Errorf("the error is more than a plain line: %q", err)
			}
			return
		}
		q.Snippet(s)
		if got := len(leaves(q.Expr)); got > MaxTerms {
			t.Errorf("%d terms", got)
		}
		for _, e := range append(leaves(q.Expr), q.Expr) {
			for spelling, db := range tables {
				m, ok := spelling.Match(e)
				if !ok {
					continue
				}
				var n int
				if err := db.QueryRow(`SELECT count(*) FROM search WHERE search MATCH ?`, m.Text).Scan(&n); err != nil {
					t.Errorf("%q gives MATCH %q: %v", s, m.Text, err)
				}
			}
		}
	})
}

func leaves(e Expr) (all []Expr) {
	switch e := e.(type) {
	case nil:
	case And:
		for _, part := range e {
			all = append(all, leaves(part)...)
		}
	case Or:
		for _, part := range e {
			all = append(all, leaves(part)...)
		}
	case Not:
		return leaves(e.Expr)
	default:
		return []Expr{e}
	}
	return all
}

func BenchmarkIndex(b *testing.B) {
	for name, text := range map[string]string{"latin": "the quick brown fox ", "german": "für die schöne Tür ",
		"cyrillic": "съешь ещё этих булок ", "cjk": "東京都のサーバー ", "thai": "ประเทศไทยสวยงาม "} {
		text = strings.Repeat(text, 1000)
		for spelling, how := range map[Spelling]string{Bigrams: "old", Folded: "new"} {
			b.Run(name+"/"+how, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					spelling.Text(text)
				}
			})
		}
	}
}
