package owner

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is also the other process: MAILCOTE_OWNER says what it does with MAILCOTE_OWNER_STORE.
func TestMain(m *testing.M) {
	path := os.Getenv("MAILCOTE_OWNER_STORE")
	switch os.Getenv("MAILCOTE_OWNER") {
	case "":
		goleak.VerifyTestMain(m)
	case "hold":
		if _, err := Acquire(path, "mailcote run"); err != nil {
			fmt.Println("refused", err)
			os.Exit(1)
		}
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "once": // the second owner, as a program of its own
		began := time.Now()
		lock, err := Acquire(path, "mailcote sync")
		fmt.Printf("%d %v\n", time.Since(began).Milliseconds(), err)
		if err == nil {
			_ = lock.Release()
			os.Exit(0)
		}
		os.Exit(75)
	}
}
