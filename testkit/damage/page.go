package damage

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
)

// Pages gives the kinds of damage of the file itself, as a failing disk or a
// copy that was not whole leaves it.
func Pages() []Damage {
	page := func(name string, do func(page []byte, random *rand.Rand)) Damage {
		return Damage{name, func(t testing.TB, path string, random *rand.Rand) string {
			t.Helper()
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			size := int(binary.BigEndian.Uint16(file[16:])) // of a page
			n := random.IntN(len(file) / size)
			do(file[n*size:(n+1)*size], random)
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("page %d of %d", n+1, len(file)/size)
		}}
	}
	return []Damage{
		page("zeroed page", func(page []byte, _ *rand.Rand) { clear(page) }),
		page("page of noise", func(page []byte, random *rand.Rand) {
			for i := range page {
				page[i] = byte(random.Uint32())
			}
		}),
		page("zeroed sector", func(page []byte, random *rand.Rand) {
			n := random.IntN(len(page) / 512)
			clear(page[n*512 : (n+1)*512])
		}),
		page("flipped bit in the head of a page", func(page []byte, random *rand.Rand) {
			page[random.IntN(40)] ^= 1 << random.IntN(8)
		}),
		{"file that was cut", func(t testing.TB, path string, random *rand.Rand) string {
			t.Helper()
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			size := info.Size()/4 + random.Int64N(info.Size()*3/4)
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%d of %d bytes", size, info.Size())
		}},
	}
}
