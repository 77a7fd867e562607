// Package clock notices that the wall clock and the time this process lived apart: somebody or NTP set the clock,
// the machine slept, or the process was stopped.
//
// What always holds:
//   - A jump is told once, at most Every after it, and never for a step of Tolerance or less: those shift no wait
//     that matters.
//   - A negative jump means that the clock was set back. A positive one may be a sleep: then the wall clock is
//     right, and what was due meanwhile is due, and sockets are presumed dead.
//
// Timers and time.Time values made by time.Now count on the monotonic clock and need none of this; times that
// were stored, or that come from the store, do.
package clock
