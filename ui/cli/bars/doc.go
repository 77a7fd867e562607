// Package bars shows on stderr how far a sync is: one bar per mailbox in progress and one per account on a
// terminal, a plain line every ten seconds elsewhere, nothing when the voice is quiet.
//
// What always holds: it only looks (at what engine.Progress answers) and never slows the work; while bars are
// drawn every other word for stderr passes through them, so lines stay whole; Stop waits for its goroutine and
// leaves no bar behind.
package bars
