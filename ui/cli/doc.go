// Package cli is mailcote's command line (DESIGN §8, "CLI contract").
//
// What always holds:
//
//   - Run gives an exit status and never ends the process; only main does. One
//     table (exit.go) says what the statuses mean. Help is written from it.
//   - A command that writes owns the store. When another process does, it ends
//     with status 75 and names that process. A command that reads needs no
//     ownership.
//   - With --json stdout carries JSON and nothing else, one value a line. What
//     is said about the work goes to stderr.
//   - A password is never the value of a flag, and never in an error, a log or
//     the store.
//   - The first interrupt ends ctx: what is being committed is committed. The
//     second one kills the process, which the store survives.
package cli
