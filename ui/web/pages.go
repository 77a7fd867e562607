package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mailcote/ui/view"
)

//go:embed page/*.html
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// listLength is how many messages one page of a list shows.
const listLength = 50

// maxQuery bounds a search, maxCursor a cursor, both in bytes.
const (
	maxQuery  = 1000
	maxCursor = 200
)

// pages renders the views. It is immutable after newPages.
type pages struct {
	source  Source
	streams *streams
	log     *slog.Logger
	now     func() time.Time
	prefix  string // before every address that a page names
	views   map[string]*template.Template
	static  fs.FS
}

func newPages(c Config, prefix string, streams *streams) (*pages, error) {
	p := &pages{
		source: c.Source, streams: streams, log: c.Log, now: c.Now, prefix: prefix,
		views: map[string]*template.Template{},
	}
	functions := template.FuncMap{
		"prefix":  func() string { return prefix },
		"visible": visible, "body": visibleBody, "count": count, "plural": plural, "octets": octets,
		"ago":     func(t time.Time) string { return ago(p.now(), t) },
		"short":   func(t time.Time) string { return short(p.now(), t) },
		"long":    func(t time.Time) string { return t.Local().Format("Mon 2 Jan 2006, 15:04 MST") },
		"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"words":   stateWords, "detail": stateDetail, "percent": percent, "query": url.QueryEscape,
		"differ":     func(a, b string) bool { return !strings.EqualFold(a, b) },
		"int64":      func(n int) int64 { return int64(n) },
		"paragraphs": paragraphs, "opens": opens,
		"row": func(name string, people []view.Address) addressRow { return addressRow{name, people} },
	}
	for _, name := range []string{"overview", "list", "message", "problem"} {
		t, err := template.New("base.html").Funcs(functions).ParseFS(pageFiles, "page/base.html", "page/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("page template %s: %w", name, err)
		}
		p.views[name] = t
	}
	static, err := fs.Sub(staticFiles, "static")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	p.static = static
	return p, nil
}

func (p *pages) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", p.overview)
	mux.HandleFunc("/mail", p.mail)
	mux.HandleFunc("/mailbox/{id}", p.mailbox)
	mux.HandleFunc("/message/{id}", p.message)
	mux.HandleFunc("/message/{id}/part/{number}", p.part)
	mux.HandleFunc("/search", p.search)
	mux.HandleFunc(ProgressPath, p.progressJSON)
	mux.HandleFunc(EventsPath, p.events)
	mux.HandleFunc("/static/{name}", p.staticFile)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.problem(w, r, http.StatusNotFound, "There is nothing at this address.")
	})
	return mux
}

// frame is what base.html sees: the page's own data and the frame's.
type frame struct {
	Title string
	Query string
	Live  bool // load the scripts that keep the page fresh
	Data  any
}

// render writes the whole page or, when the template fails, a short notice;
// never half a page with 200.
func (p *pages) render(w http.ResponseWriter, r *http.Request, status int, view string, f frame) {
	var b bytes.Buffer
	if err := p.views[view].ExecuteTemplate(&b, "base.html", f); err != nil {
		p.log.Error("render the page", "view", view, "error", err)
		refuse(w, r, http.StatusInternalServerError, "This page could not be drawn.")
		return
	}
	write(w, r, status, "text/html; charset=utf-8", b.Bytes())
}

func (p *pages) problem(w http.ResponseWriter, r *http.Request, status int, words string) {
	p.render(w, r, status, "problem", frame{Title: words, Data: words})
}

// failed shows what a Source's error means. Its text goes to the log, not to
// the page: it may quote a server.
func (p *pages) failed(w http.ResponseWriter, r *http.Request, err error) {
	var query *view.QueryError
	switch {
	case errors.Is(err, view.ErrNotFound):
		p.problem(w, r, http.StatusNotFound, "This is not here any more.")
	case errors.As(err, &query):
		p.problem(w, r, http.StatusBadRequest, query.Reason)
	default:
		p.note(r, err)
		p.problem(w, r, http.StatusInternalServerError,
			"The store could not be read. What mailcote prints in its terminal says why; the mail is not affected.")
	}
}

// note logs why a page could not be read, unless its reader left meanwhile.
func (p *pages) note(r *http.Request, err error) {
	if r.Context().Err() == nil {
		p.log.Error("read for the page", "path", r.URL.Path, "error", err)
	}
}

func (p *pages) overview(w http.ResponseWriter, r *http.Request) {
	o, err := p.source.Overview(r.Context())
	if err != nil {
		p.failed(w, r, err)
		return
	}
	p.render(w, r, http.StatusOK, "overview", frame{Title: "Overview", Live: true, Data: o})
}

// listData is a list with the address of its continuation.
type listData struct {
	view.MessageList
	Heading string
	More    string // address of the next page, empty at the end
	Shown   bool   // name the mailbox in each line
	Empty   string
}

func (p *pages) mail(w http.ResponseWriter, r *http.Request) {
	p.list(w, r, view.ListQuery{}, listData{Heading: "Newest mail", Shown: true, Empty: "No mail yet."}, "/mail?")
}

func (p *pages) mailbox(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		p.failed(w, r, view.ErrNotFound)
		return
	}
	p.list(w, r, view.ListQuery{Mailbox: id}, listData{Empty: "This mailbox is empty."},
		"/mailbox/"+strconv.FormatInt(id, 10)+"?")
}

func (p *pages) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query().Get("q")
	if q == "" {
		p.problem(w, r, http.StatusOK, "Write what you are looking for into the search box.")
		return
	}
	if len(q) > maxQuery {
		p.failed(w, r, &view.QueryError{Reason: "This search is too long."})
		return
	}
	d := listData{Heading: "Search: " + visible(q), Shown: true, Empty: "Nothing matches."}
	p.list(w, r, view.ListQuery{Search: q}, d, "/search?q="+url.QueryEscape(q)+"&")
}

func (p *pages) list(w http.ResponseWriter, r *http.Request, q view.ListQuery, d listData, here string) {
	q.Limit = listLength
	if q.Before = r.URL.Query().Get("before"); len(q.Before) > maxCursor {
		p.failed(w, r, view.ErrNotFound)
		return
	}
	found, err := p.source.Messages(r.Context(), q)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	d.MessageList = found
	if d.Heading == "" {
		d.Heading = visible(found.Title)
	}
	if found.Next != "" {
		d.More = p.prefix + here + "before=" + url.QueryEscape(found.Next)
	}
	p.render(w, r, http.StatusOK, "list", frame{Title: d.Heading, Query: q.Search, Live: q.Search == "" &&
		q.Before == "", Data: d})
}

func (p *pages) message(w http.ResponseWriter, r *http.Request) {
	m, err := p.source.Message(r.Context(), r.PathValue("id"))
	if err != nil {
		p.failed(w, r, err)
		return
	}
	title := visible(m.Subject)
	if title == "" {
		title = "(no subject)"
	}
	p.render(w, r, http.StatusOK, "message", frame{Title: title, Data: m})
}

func (p *pages) progressJSON(w http.ResponseWriter, r *http.Request) {
	progress, err := p.progress(r.Context())
	if err != nil {
		p.note(r, err)
		refuse(w, r, http.StatusInternalServerError, "The progress could not be read.")
		return
	}
	body, err := json.Marshal(progress)
	if err != nil {
		refuse(w, r, http.StatusInternalServerError, "The progress could not be written.")
		return
	}
	write(w, r, http.StatusOK, "application/json", body)
}

func (p *pages) staticFile(w http.ResponseWriter, r *http.Request) {
	types := map[string]string{
		"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml",
		"live.js": "text/javascript; charset=utf-8", "stream.js": "text/javascript; charset=utf-8",
		"signin.js": "text/javascript; charset=utf-8",
	}
	name := r.PathValue("name")
	body, err := fs.ReadFile(p.static, name)
	if types[name] == "" || err != nil {
		p.problem(w, r, http.StatusNotFound, "There is nothing at this address.")
		return
	}
	write(w, r, http.StatusOK, types[name], body)
}

// addressRow is one address field of a message.
type addressRow struct {
	Name   string
	People []view.Address
}

// percent never says 100 before everything is here.
func percent(stored, total int64) int64 {
	if total <= 0 {
		return 0
	}
	return min(stored, total) * 100 / total
}
