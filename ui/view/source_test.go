package view

import "testing"

func TestNames(t *testing.T) {
	for senders, want := range map[string]string{
		"Ada <ada@example.org>": "Ada", "ada@example.org": "ada@example.org", "Ada <a@x>, Bob <b@x>": "Ada, Bob",
		"": "", "Müller, Anna <a@x>": "Müller, Anna",
	} {
		if got := Names(senders); got != want {
			t.Errorf("%q: %q, want %q", senders, got, want)
		}
	}
}
