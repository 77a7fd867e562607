// Package disk knows how much room a store has, and keeps the gate that bulk
// writing passes.
//
// What always holds:
//
//   - The reserve is 200 MiB, or a tenth of a file system that is smaller than
//     2 GiB. Bulk writing stops under it; what a person or a task's state needs
//     may use it.
//   - A gate that is closed says why, since when, and what opens it. Nothing
//     here waits for luck: whoever keeps the gate looks again by the clock.
//   - Sizes are bytes; free is what this user may still write.
package disk
