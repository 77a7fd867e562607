package fault

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic in a task.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Guard turns a panic into an error with its stack, so that one bug costs one
// task.
func Guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return do()
}
