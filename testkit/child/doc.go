// Package child starts a program, watches it and kills it: the crash harness
// of the tests and the benchmark.
//
// What always holds:
//
//   - A Proc leads a process group of its own. The whole group ends with it.
//   - On Linux the leader also dies when this process dies, so that a test
//     that times out leaves nothing behind.
//   - Wait may be called any number of times, from any goroutine.
//
// Sizes are bytes. Peak memory comes from VmHWM in /proc (Linux), sampled
// while the program runs. ru_maxrss is not used: Go starts programs by vfork,
// and the kernel carries the parent's own peak into the child's at exec.
package child
