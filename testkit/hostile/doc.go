// Package hostile is a table of servers that misbehave: named scripts for
// testkit/script. Each is one way to lie, to babble or to break, drawn from
// what providers do and from what an attacker could (docs/reliability.md,
// bar 6).
//
// A script is data: a name, the capabilities of the server, the harm that is
// allowed, and mix-ins. A mix-in takes over some of a server's answers, and
// mix-ins add up. Scripts speak to and about INBOX unless they say otherwise,
// so that a test can see that every other mailbox arrives.
//
// What always holds: scripts share nothing, so that they may run at the same
// time. A flood ends when its connection does.
package hostile
