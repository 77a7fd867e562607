// Package proxy is a TCP proxy inside the test that breaks connections on
// purpose.
//
// "Up" is from the client to the server, "down" from the server to the client.
// Faults are set for new and for open connections, at any time, from any
// goroutine. A cut is a reset on both sides (SO_LINGER 0), as a lost connection
// looks. Bytes before the cut have been handed to the kernel in order. A reset
// may overtake them, as in real life.
//
// Faults come by byte offset (Set), or at a place in the talk (Arm): "17 octets
// into the third literal of the second UID FETCH". For that the proxy follows
// lines, literals and tags of connections without TLS or COMPRESS (RFC 9051
// §2.2, §4.3).
//
// What always holds:
//
//   - No fault changes or reorders a byte. Portal is the exception: it answers
//     in the server's place.
//   - A place is reached when every byte before it has passed and none after
//     it.
//   - Counters count bytes read from a side, whether or not they could still be
//     delivered.
//   - Close ends every goroutine and socket.
//
// What is drawn at random follows the seed and the order of connections.
package proxy
