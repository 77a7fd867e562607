// Package queue keeps units of sync work: goqite delivers (priority, delay), the row in sync_task holds meaning.
//
// What always holds:
//
//   - Both rows change in one transaction, with the mail they describe, only through the …Tx verbs inside
//     storage.Write.
//
//   - One process owns the store, so ownership of a task is in memory and its lease generation in the row: a verb
//     on a task whose generation moved on answers ErrLeaseLost and changes nothing. goqite's own timeout and
//     MaxReceive are out of reach.
//
//   - A start makes visible exactly what a dead process was working on, without using up a retry.
//
//   - retry_count counts attempts without progress; ProgressTx zeroes it.
//
//   - Among due tasks the highest priority comes first, then the oldest. A mailbox's task that failed goes behind
//     its equals, and behind all others once when its account rested because of it (Failure.Last): every mailbox
//     has its turn.
//
//   - At most one unfinished task per (account, type, folder, range). Enqueueing it again raises its priority;
//     while it is being worked on it is run once more afterwards; one that has to wait then keeps its time.
//
//   - Each unfinished task that is not paused has exactly its goqite row, a paused or finished one has none. A
//     person's verbs (ByHand) never touch a task that is being worked on, but for its priority.
//
//   - Without goqite's table (ErrDelivery, GoDirect) the rows of sync_task deliver themselves in the same order;
//     nothing else changes, and the next start that can use the table hands them back.
//
// Priorities are 1–10, higher first. goqite has no call for changing a row's priority: rankTx is this package's
// statement on its table.
package queue
