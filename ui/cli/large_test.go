package cli_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mailcote/testkit/form"
	"mailcote/testkit/script"
)

// noise is what does not compress, in lines.
func noise(size int) []byte {
	random := rand.New(rand.NewPCG(1, 15))
	b := make([]byte, 0, size+80)
	for len(b) < size {
		b = fmt.Appendf(b, "%016x%016x%016x%016x\r\n", random.Uint64(), random.Uint64(), random.Uint64(),
			random.Uint64())
	}
	return b[:size]
}

// scripted makes a rig's program speak to a scripted server.
func scripted(t *testing.T) (*rig, *script.Server) {
	t.Helper()
	r := &rig{t: t}
	r.fresh()
	s := script.Start(t, script.Options{})
	r.addr = s.Addr()
	s.Change(func(m *script.Model) { m.Box("INBOX").Add([]byte("Subject: small\r\n\r\nx\r\n")) })
	return r, s
}

// TestLargeMessage is bar 15: a message, a header line and a header of many lines of 1 GiB each cost little
// memory and arrive as they are.
func TestLargeMessage(t *testing.T) {
	size, most := int64(64<<20), int64(60<<20)
	if form.Long() {
		size, most = 1<<30, 64<<20
	} else if form.Race {
		size = 8 << 20
	}
	r, _ := scripted(t)
	small := r.sync().rss
	body, word := noise(999_983), []byte(strings.ReplaceAll(string(noise(999_983)), "\r\n", ""))
	for _, kind := range []struct {
		name   string
		source *script.Source
	}{
		{"body", &script.Source{Head: []byte("Subject: large\r\n\r\n"), Pattern: body, Size: size}},
		{"one line of header", &script.Source{Head: []byte("Subject: large "), Pattern: word, Size: size}},
		{"many lines of header", &script.Source{Head: []byte("Subject: large\r\n"),
			Pattern: append([]byte("X-Noise: "), body[:990_006]...), Size: size}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			r, s := scripted(t)
			s.Change(func(m *script.Model) { m.Box("INBOX").AddSource(kind.source) })
			o := r.sync()
			t.Logf("%s of %d MiB: peak memory %.1f MiB, %.1f MiB with a small message only, in %v", kind.name,
				size>>20, mib(o.rss), mib(small), o.took)
			if grown := o.rss - small; grown > most && !form.Race {
				t.Errorf("memory grew by %.1f MiB, more than %.0f", mib(grown), mib(most))
			}
			sum := script.Message{Source: kind.source}.Sum()
			var got struct{ ID, SHA256 string }
			for row := range r.rows(`SELECT email_id AS ID, sha256 AS SHA256 FROM mail WHERE uid = 2`) {
				if err := json.Unmarshal([]byte(row), &got); err != nil {
					t.Fatal(err)
				}
			}
			if got.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("the message arrived as %s, want %x", got.SHA256, sum)
			}
			show := r.run("show", got.ID)
			t.Logf("show: exit status %d, peak memory %.1f MiB in %v", show.code, mib(show.rss), show.took)
			if show.code != 0 || show.rss-small > most && !form.Race {
				t.Errorf("show: exit status %d, %.1f MiB: %.300s", show.code, mib(show.rss), show.errs)
			}
		})
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
