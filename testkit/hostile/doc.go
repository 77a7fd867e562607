// Package hostile is a table of servers that misbehave: named scripts for testkit/script, each one way to lie, to
// babble or to break, drawn from what providers do and from what an enemy could (docs/reliability.md, bar 6).
//
// A script is data: a name, the capabilities the server offers, the harm that is allowed, and mix-ins, each of
// which takes over some of a server's answers. Mix-ins add up. Scripts speak to and about INBOX unless they say
// otherwise, so that a test can see that every other mailbox arrives.
//
// What always holds: scripts share nothing, so that one may run beside another; a flood ends when its connection does.
package hostile
