// Package dns is a name server inside a test, for a host whose answers change
// and fail on demand.
//
// It listens on loopback (UDP) and answers A and AAAA whatever the name is. Its
// resolver asks nobody else. The end of the test ends its goroutine and waits
// for it.
package dns
