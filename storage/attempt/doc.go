// Package attempt keeps what a restart has to know of attempts that came to nothing, so that it does not knock where the
// process before it had to wait.
//
// What always holds:
//   - A sign-in is written down before it is sent, so that one whose answer nobody lived to see counts too.
//   - Times are the wall clock's and may be of another clock than today's: who reads them bounds the wait.
package attempt
