// Package bars shows on stderr how far a sync is. On a terminal each account
// and each mailbox in progress has a bar. Elsewhere a plain line comes every
// ten seconds. A quiet voice shows nothing.
//
// What always holds: it only reads engine.Progress and never slows the work.
// While bars are drawn everything else for stderr passes through them, so that
// lines stay whole. Stop waits for the goroutine and leaves no bar behind.
package bars
