// Package proxy is a TCP proxy inside the test that breaks connections on purpose.
//
// "Up" is from the client to the server, "down" from the server to the client. Faults are set for connections to come
// and for those that are open, at any time, from any goroutine. A cut is a reset on both sides (SO_LINGER 0), as a
// lost connection looks; bytes before the cut have been handed to the kernel in order, and a reset may overtake them,
// as in real life.
//
// Invariants: no fault changes or reorders a byte; counters count bytes read from a side, whether or not they could
// still be delivered; Close ends every goroutine and socket.
package proxy
