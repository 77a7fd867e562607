// Package engine is an account's life: connect, discover, page, reconcile.
//
// What always holds:
//
//   - One goroutine (a worker) owns an account: its session, its tasks, its retries. It is started by Sync or
//     Run, which wait for it.
//   - Wherever that goroutine has nothing to do it waits in listener.await, and hears of tasks, of who wants the
//     account, of a sleep of the machine, of room in the store and of a stop at once.
//   - A batch commits its messages, its coverage, the task's checkpoint and the run's counters in one transaction. Any
//     instruction may be the last one: the next start goes on from what is committed.
//   - What is fetched follows from the server's listing and the store (package plan), never from a cursor alone.
//   - An entry is expunged only after a listing whose length the server's own EXISTS confirms; a mass of them
//     only after a second listing on a new connection.
//   - Every fault passes Classify once, is recorded once, and is acted on in one place (worker.finish).
//   - Only EXAMINE and BODY.PEEK are sent. No write transaction is open while the network is waited for.
//   - Raw messages in memory are counted against one process-wide budget.
package engine
