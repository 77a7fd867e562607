// Package clock notices when the wall clock and the time of this process drift
// apart. A person or NTP set the clock, the machine slept, or the process was
// stopped.
//
// What always holds:
//   - A jump is reported once, at most Every after it. A step of Tolerance or
//     less is not reported, because it shifts no wait that matters.
//   - A negative jump means that the clock was set back. A positive one may be
//     a sleep. Then the wall clock is right, what fell due meanwhile is due,
//     and sockets are presumed dead.
//
// Timers and values of time.Now count on the monotonic clock and need none of
// this. Times that were stored, or that come from the store, do.
package clock
