package owner

import (
	"os"
	"strings"
)

// bootID tells one boot from the next, so that a process id of before is not
// taken for one of now; "" when unknown.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
