// Package failpoint marks the places where a crash is tested:
// failpoint.Hit("storage.commit.before").
//
// Without the build tag "failpoints" Hit is empty and inlined away, so shipped
// programs hold nothing of this. With the tag two environment variables are
// read once, at the first Hit:
//
//   - MAILCOTE_FAILPOINT="name:n:action" acts at the n-th hit (from 1) of that
//     name. The actions are "kill" (SIGKILL to this process), "exit" (status
//     99, no deferred call runs), "panic", "sleep" (a second) and
//     "sleep=DURATION".
//   - MAILCOTE_FAILPOINT_LOG=FILE appends a line with the name at every hit. A
//     test compares these with the names in the source. It fails on a point
//     that was never reached, and knows how often each one is.
//
// Names are area.thing.moment in lower case. Each is one string literal, so
// that it can be found in the source. This is the only package of the test kit
// that product code may import. It imports only the standard library.
package failpoint
