package web

import (
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"mailcote/ui/save"
)

// filePolicy is for bytes that a sender chose: a browser that would show them
// anyway gives them no script, no form and no origin.
const filePolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"

// part sends one part of a message as a file. Its type is never the sender's,
// so that no browser shows it in place.
func (p *pages) part(w http.ResponseWriter, r *http.Request) {
	number := r.PathValue("number")
	part, err := p.source.Part(r.Context(), r.PathValue("id"), number)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	defer part.Body.Close() //nolint:errcheck // it was only read
	h := w.Header()
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment",
		map[string]string{"filename": save.Name(part.Name, part.Type, number)}))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(p.patient(w), part.Body); err != nil {
		p.note(r, err)
		panic(http.ErrAbortHandler) // the browser must see that the file is not whole
	}
}

// patientWriter gives each write its own time: a browser may ask where to save
// a file while it comes.
type patientWriter struct {
	io.Writer
	control *http.ResponseController
	time    time.Duration
}

func (p *pages) patient(w http.ResponseWriter) io.Writer {
	return patientWriter{w, http.NewResponseController(w), p.streams.write}
}

func (w patientWriter) Write(b []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.time)) // without it the server's holds
	return w.Writer.Write(b)
}

// opens reports whether a link may be opened from the page. Other schemes could
// run a script or start a program; a target without one would lead into the
// page itself.
func opens(target string) bool {
	scheme, rest, ok := strings.Cut(target, ":")
	switch strings.ToLower(scheme) {
	case "http", "https":
		return ok && strings.HasPrefix(rest, "//") && len(rest) > len("//")
	case "mailto":
		return ok && rest != ""
	}
	return false
}
