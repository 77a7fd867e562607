// Package cli is mailcote's command line (DESIGN §8, "CLI contract").
//
// What always holds:
//
//   - Run gives an exit status and never ends the process; only main does. The statuses are one table (exit.go),
//     which also writes their help section.
//   - A command that writes owns the store (75 and the holder's name when another process does); one that reads
//     opens it beside its owner.
//   - With --json stdout carries JSON and nothing else, one value a line. What is said about the work goes to stderr.
//   - A password is never a flag's value, and never in an error, a log or the store.
//   - The first interrupt ends ctx: what is being committed is committed. main lets the second one kill the
//     process, which the store survives.
package cli
