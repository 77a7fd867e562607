// Package check looks for what cannot be in a sound store. It only reads,
// through snapshots that storage gives it, and only in SQL: it knows the
// tables, not the verbs that write them, so that a bug in a verb is found and
// not repeated.
//
// What always holds:
//
//   - Every comparison is made inside one snapshot, so it is right alongside an
//     owner that writes. A snapshot looks at a window of rows and ends; no
//     snapshot spans the store, except SQLite's own check of one table.
//   - Windows are looked at side by side, as many as there are readers. What
//     they find stands in the order of the tables and their rows all the same.
//   - A sound store has no findings, whatever it went through.
//   - Findings are sentences for the user, who has to act. No more than
//     maxFindings are made.
package check
