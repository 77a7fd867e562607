// Command chaos runs the real program against a real Dovecot while everything
// around it breaks at once, and says whether it came out whole:
//
//	go run ./bench/chaos -minutes 10
//
// `mailcote run` is killed, stopped and woken. Its disk is filled. Its wire is
// cut, slowed and silenced. Each comes at random moments of its own, while mail
// arrives, changes its flags and goes. Then the trouble ends, the program runs
// in peace for a while, and a sync brings the rest. What is in the store must
// be what is on the server, line by line. `mailcote check` must find nothing.
// Less than 1 % of the tasks may have failed.
//
// The disk is a tmpfs of its own, made so small for a while that nothing more
// fits. That takes root on Linux. Elsewhere the disk stays whole and the report
// says so. Everything random follows -seed. How it falls together with the
// program's own time does not.
package main
