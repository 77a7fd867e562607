// Command bench measures a first and a second sync of mailcote and of mbsync,
// in turn, with one Dovecot:
//
//	go run ./bench -messages 20000 -rounds 5 -against ./mailcote-of-yesterday
//
// Everything is made for the run and thrown away: server, mail, stores. All
// programs go through a proxy that counts bytes and adds the round trip: none,
// and then 50 ms, or what -rtt lists. Each round starts with fresh targets. The
// server has been read once before, so no program pays for its cold caches. All
// sync to disk as they do by default: mailcote commits with synchronous=FULL,
// mbsync calls fsync for each message. As fsync can decide everything, mbsync
// runs without it as well. The drain is the floor: one connection that FETCHes
// everything and keeps nothing. -against names an earlier mailcote, which runs
// in turn with them.
//
// Figures are medians over the rounds. A ratio is the median of the ratios of
// the rounds. CPU is the program's own, RSS its peak. The server's CPU is that
// of all its processes meanwhile; on few cores it competes. Search finds a
// message a moment after it can be read: "from there to searchable" is how long
// the index took after the last message.
//
// With -profile FILE, one first sync is profiled instead. It takes a build of
// its own, so the program that people run has no such flag:
//
//	go run ./bench -messages 5000 -profile cpu.out
//	go tool pprof -top -cum cpu.out
package main
