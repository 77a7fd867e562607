package view

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"mailcote/engine/message"
)

// TestDamageBehindAPart: a part is not whole while the message that it is of is
// damaged. Its digest is known only at the end.
func TestDamageBehindAPart(t *testing.T) {
	damaged := errors.New("damaged")
	head := "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\nwhole\r\n--m\r\n\r\n"
	raw := io.MultiReader(strings.NewReader(head+strings.Repeat("other\r\n", 10_000)), iotest.ErrReader(damaged))
	part, _, ok := message.Part(raw, "1", message.Limits{})
	if !ok {
		t.Fatal("no part")
	}
	body := partBody{part, io.NopCloser(raw)}
	if got, err := io.ReadAll(&body); string(got) != "whole" || !errors.Is(err, damaged) {
		t.Errorf("%q, %v", got, err)
	}
}
