// Package page serves ui/web from a store and an engine, and tells other processes where it is served.
//
// What always holds: the page only reads; it reads through storage and engine.Progress, on snapshots of its own that end
// before anything is rendered. The agent file names a page for `status`; it is believed only while the process it names
// owns the store. It holds no secret. A browser is given a one-time link by a file and never by an argument; the file
// goes with the link. Both files are 0600, like ui/web's token file.
package page
