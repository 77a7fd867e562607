//go:build !linux

package owner

func bootID() string { return "" }
