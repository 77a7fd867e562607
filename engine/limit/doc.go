// Package limit holds what providers allow and paces one account accordingly.
// Profiles are data. A Limiter counts what an account has used and answers when
// it may do the next thing. docs/providers.md is generated from the profiles.
//
// Invariants:
//   - The package is pure. Every method takes the time as an argument; nothing
//     sleeps, dials or stores. A Limiter is used by one goroutine at a time.
//   - A day's octets are counted in slots of ten minutes. A slot counts until
//     all of it is older than 24 hours, so no 24 hours, wherever they begin,
//     exceed the profile's figure. Commands and messages keep within every
//     window in the same way.
//   - The pace is in (0, 1]. A sign of throttling halves it, and each minute of
//     clean work adds a tenth.
//   - A learned ceiling of connections lasts 24 hours and is at least one.
//   - A clock that jumped does no lasting harm: no rest is longer than Longest.
//
// Units: octets as read from TCP, below TLS, in MB of 10^6; commands a minute;
// messages a second. Each figure names its source. MESSAGELIMIT is RFC 9738.
package limit
