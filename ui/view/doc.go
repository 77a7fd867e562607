// Package view says what a store holds and where its accounts stand, for
// every door.
//
// What always holds: it only reads. It reads through storage and
// engine.Progress, on snapshots of its own that end before anything is drawn.
package view
