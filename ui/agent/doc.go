// Package agent says where the running agent of a store is and how to reach it.
//
// What always holds: the agent file names the door of a running agent. It is
// believed only while the process it names owns the store. It holds no
// secret. The token is a file of its own. A browser is given a one-time link
// by a file and never by an argument; that file goes with the link. All three
// files are 0600.
package agent
