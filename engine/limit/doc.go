// Package limit holds what providers allow and how fast an account may go:
// profiles as data, and a Limiter that counts what an account uses and says
// when the next thing may be done. docs/providers.md is written from the
// profiles.
//
// What always holds:
//   - It is pure: every method is told the time, nothing sleeps, dials or
//     stores. One goroutine at a time uses a Limiter.
//   - Octets of a day are counted in slots of ten minutes, and a slot counts
//     until all of it is older than a day: no 24 hours, wherever they begin,
//     bring more than the profile's figure. Commands and messages keep to
//     theirs in every window too.
//   - The pace is in (0, 1]: halved by a sign of throttling, a tenth more after
//     each minute of clean work.
//   - A learned ceiling of connections holds 24 hours. It is never below one.
//   - What a clock that jumped would make of a stored time is bounded: no rest
//     is longer than Longest.
//
// Units: octets taken from TCP below TLS, in MB of 10^6; commands a minute;
// messages a second. Sources stand beside each figure; RFC 9738 for
// MESSAGELIMIT.
package limit
