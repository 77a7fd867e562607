// Package answer has the values that the answers of --json are made of. Each
// writes what docs/json.md promises: RFC 3339 times, rounded numbers, and null
// for what is not known.
package answer
