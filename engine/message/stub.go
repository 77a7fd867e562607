package message

import (
	"io"
	"net/mail"
	"time"
)

func Parse(r io.Reader, lim Limits) View {
	v := View{}
	m, err := mail.ReadMessage(r)
	if err != nil {
		v.Partial = true
		return v
	}
	b, _ := io.ReadAll(io.LimitReader(m.Body, lim.orDefaults().Text))
	v.Subject, v.Text = m.Header.Get("Subject"), string(b)
	_, _ = io.Copy(io.Discard, m.Body)
	return v
}
func HTMLText(html string) string          { return html }
func ParseAddressList(s string) []Address  { return nil }
func ParseDate(s string) (time.Time, bool) { t, err := mail.ParseDate(s); return t.UTC(), err == nil }
func DecodeHeader(s string) string         { return s }
func Part(r io.Reader, path string, lim Limits) (io.Reader, Attachment, bool) {
	return nil, Attachment{}, false
}
