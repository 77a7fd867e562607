// Package message turns the raw bytes of a mail into what mailcote shows,
// threads and indexes.
package message
