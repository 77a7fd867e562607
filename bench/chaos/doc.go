// Command chaos runs the real program against a real Dovecot while everything around it breaks at once, and says
// whether it came out whole:
//
//	go run ./bench/chaos -minutes 10
//
// `mailcote run` is killed, stopped and woken, its disk is filled and its wire is cut, slowed and silenced, each
// at random moments of its own, while mail arrives, changes its flags and goes. Then the trouble ends, what runs
// gets some peace, and a sync brings the rest. What is in the store must be what is on the server, line by line,
// `mailcote check` must find nothing, and less than 1 % of the tasks may have failed.
//
// The disk is a tmpfs of its own, made so small for a while that nothing more fits; that takes root on Linux.
// Elsewhere the disk stays whole and the report says so. Everything random follows -seed; how it falls together
// with the program's own time does not.
package main
