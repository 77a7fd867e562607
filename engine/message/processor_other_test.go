//go:build !unix

package message

import (
	"testing"
	"time"
)

// processor stands for the processor time, which is not asked for here.
func processor(testing.TB) time.Duration { return time.Duration(time.Now().UnixNano()) }
