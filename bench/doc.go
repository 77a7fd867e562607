// Command bench measures a first and a second sync of mailcote and of mbsync,
// in turn, with one Dovecot:
//
//	go run ./bench -messages 20000 -bytes 20000 -mailboxes 8 -rtt 50ms -rounds 3
//
// Everything is made for the run and thrown away: server, mail, stores. Both
// programs go through a proxy that counts bytes and adds the round trip. Each
// round starts with fresh targets. The server has been read once before, so no
// program pays for its cold caches. Both sync to disk as they do by default:
// mailcote commits with synchronous=FULL, mbsync calls fsync for each message.
// As fsync can decide everything, mbsync runs without it as well. The drain is
// the floor: one connection that FETCHes everything and keeps nothing. With
// -earlier PROGRAM an earlier mailcote runs in turn with them.
//
// Figures are medians over the rounds. CPU is the program's own (user and
// system), RSS its peak. The server's share of the processor is not in them,
// and on few cores the server competes.
package main
