// Package engine keeps accounts in sync: it connects, lists, fetches and
// reconciles.
//
// What always holds:
//
//   - One goroutine, a worker, owns an account with its tasks and retries.
//     Sync and Run start it and wait for it.
//   - An idle worker waits in listener.await. New tasks, other users of the
//     account, a sleep of the machine, space in the store and a stop wake it
//     at once.
//   - One transaction commits a batch: its messages, its coverage, the task's
//     checkpoint and the run's counters. The process may die at any
//     instruction; the next start goes on from what is committed.
//   - The server's listing and the store decide what is fetched (package
//     plan). A cursor alone never does.
//   - An entry is expunged only after a listing whose length the server's
//     EXISTS confirms. Many at once need a second listing on a new connection.
//   - Every fault is classified once, recorded once and handled in one place,
//     worker.finish. Those of interactive commands go to account.commandFailed.
//   - Only EXAMINE and BODY.PEEK are sent. No write transaction is open while
//     the network is waited for.
//   - Raw messages in memory count against one budget of the process.
package engine
