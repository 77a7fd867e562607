// Package child starts a program, watches it and kills it: the crash harness of the tests and the benchmark.
//
// Invariants: a Proc leads a process group of its own, and the whole group ends with its leader; on Linux the
// group's leader also dies when this process dies (so a test that times out leaves nothing behind); Wait may be
// called any number of times, by anyone. Sizes are bytes.
//
// Peak memory comes from VmHWM in /proc (Linux), sampled while the program runs. ru_maxrss is not used: Go starts
// programs by vfork, and the kernel carries the parent's own peak into the child's figure at exec.
package child
