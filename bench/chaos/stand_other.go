//go:build !unix

package main

import (
	"errors"

	"mailcote/testkit/child"
)

// stand cannot stop a program here.
func stand(*child.Proc) error { return errors.ErrUnsupported }

func walk(*child.Proc) error { return nil }
