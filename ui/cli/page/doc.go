// Package page serves ui/web from a store and an engine, and tells other processes where it is served.
//
// What always holds: the page only reads; it reads through storage and engine.Progress, on snapshots of its own that end
// before anything is rendered. The agent file names a page for `status`; it is believed only while the process it names owns
// the store. It is a 0600 file like ui/web's
// token file; no other secret reaches a disk.
package page
