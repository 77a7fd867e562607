// Package fetch downloads messages: UIDs go in, committed mail comes out. A
// message that does not come as others do is asked for in other ways. When
// every way has failed it is quarantined.
//
// What always holds:
//   - A body is stored when it is whole by plan.Judge, never before.
//   - A batch is one transaction with its coverage, its checkpoint and its
//     counters. What came whole before an error is stored, too.
//   - A message is blamed for ended sessions only after another message came on
//     a session in between. Otherwise the connection is to blame.
//   - Raw messages in memory count against a budget of the whole process. Large
//     ones go through the store.
//   - This package writes mail, the quarantine and what the functions of a Job
//     store, and nothing else.
//
// A Fetcher is one stream and outlives passes. A Pass is its work on one
// mailbox. One goroutine uses both.
package fetch
