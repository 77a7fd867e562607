// Package faultvfs makes SQLite's file operations fail on demand: a failed
// fsync, a full disk, a bad read, at the n-th call on files of one name. It is
// for tests only.
//
// Register adds the VFS "fault" to this process. A store is opened with it by
// "file:x.db?vfs=fault". It is SQLite's default VFS with its own method table
// for every file. Shared memory and its locks are the original ones, and only
// the call that maps it can fail. Without a Fail everything works as always.
//
// What always holds:
//
//   - An operation that fails has not been tried. A failed write wrote nothing,
//     a failed open opened nothing.
//   - Calls are counted whether they fail or not.
//   - A call counts for a fault from the moment of the Fail.
//
// SQLite's callbacks are plain functions and a VFS is registered for the
// process. So the state here is global, the one exception to the rule about
// package state. Tests that use it must not run in parallel with one another,
// and end with Reset. The package depends on names that modernc.org/sqlite
// generates and does not promise. Its own test fails when they change.
//
// Record logs what is done to the files of a directory. Log.Disk replays it and
// gives what a power loss at any moment may leave (FAULTS B.2). A test that
// trusts these images runs a positive control and a negative one.
package faultvfs
