// Package queue keeps units of sync work. goqite delivers them (priority,
// delay), the row in sync_task holds their meaning.
//
// What always holds:
//
//   - Both rows change in one transaction, with the mail they describe, only
//     through the …Tx verbs inside storage.Write.
//   - One process owns the store, so the ownership of a task is in memory and
//     its lease generation is in the row. A verb on a task whose generation
//     moved on answers ErrLeaseLost and changes nothing. goqite's own timeout
//     and MaxReceive are out of reach.
//   - A start makes visible exactly what a dead process was working on, without
//     using up a retry.
//   - retry_count counts attempts without progress; ProgressTx zeroes it.
//   - Among due tasks the highest priority comes first, then the oldest. A
//     mailbox's task that failed goes behind its equals. It goes behind all
//     others once when its account rested because of it (Failure.Last). So
//     every mailbox has its turn.
//   - There is at most one unfinished task per (account, type, folder, range).
//     Enqueueing it again raises its priority. A task that is being worked on
//     is then run once more afterwards; if it has to wait, it keeps its time.
//   - Each unfinished task that is not paused has exactly its goqite row. A
//     paused or finished one has none. Verbs by hand (ByHand) never touch a
//     task that is being worked on, except for its priority.
//   - Without goqite's table (ErrDelivery, GoDirect) the rows of sync_task
//     deliver themselves in the same order. Nothing else changes, and the next
//     start that can use the table hands them back.
//
// Priorities are 1–10, higher first. goqite has no call for changing a row's
// priority: rankTx is this package's statement on its table.
package queue
