// Package fetch brings messages: UIDs go in, committed mail comes out. What does not come as other messages do is
// asked for in other ways, and at last set aside.
//
// What always holds:
//   - A body is stored when it is whole by plan.Judge, never before.
//   - A batch is one transaction with its coverage, its checkpoint and its counters. What came whole before an
//     error is stored, too.
//   - A message is taken for the reason why sessions end only after another message came on a session in between.
//     Otherwise it is the line.
//   - Raw messages in memory count against a budget of the whole process. Large ones go through the store.
//   - Nothing outside mail, quarantine and what a Job's functions store is written from here.
//
// A Fetcher is one stream and outlives passes; a Pass is its work on one mailbox. One goroutine uses both.
package fetch
