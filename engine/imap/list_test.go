package imap

import (
	"context"
	"errors"
	"testing"
)

// TestListUnreadable: a LIST response that cannot be read costs only itself, whatever is wrong with it, and so does a
// STATUS response.
func TestListUnreadable(t *testing.T) {
	for _, line := range []string{
		`* LIST`,
		`* LIST () "/"`,
		`* LIST (\HasNoChildren "/" "Open list"`,
		`* LIST (\HasNoChildren (\Nested)) "/" "Nested"`,
		`* LIST () "/" "no end`,
		`* LIST () "/ no end`,
		`* LIST () "/" {x}`,
		`* LIST () {} "/"`,
		`* LIST (\A(b)) "/" {6}` + "\r\nA\r\nb c",
		`* STATUS "Box" (MESSAGES 1`,
		`* STATUS "Box" ([] 1)`,
		`* STATUS "Box`,
	} {
		t.Run(line, func(t *testing.T) {
			s, _ := offering(t, "", func(p *peer) {
				p.answer(`* LIST (\Sent) "/" Before`, line, `* LIST () "/" "After"`)
				p.answer()
			})
			got, err := s.List(context.Background(), nil)
			var lines *UnreadableError
			if unread := errors.As(err, &lines); unread != (line[:6] == "* LIST") || !unread && err != nil {
				t.Errorf("%v", err)
			}
			if lines != nil && (lines.Lines != 1 || !errors.Is(err, ErrSyntax)) {
				t.Errorf("%+v", lines)
			}
			if len(got) != 2 || got[0].Raw != "Before" || got[1].Raw != "After" {
				t.Errorf("%+v", got)
			}
			if err := s.Noop(context.Background()); err != nil {
				t.Errorf("the session has ended: %v", err)
			}
		})
	}
}
