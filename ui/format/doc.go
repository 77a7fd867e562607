// Package format writes numbers, sizes, times and durations for people, the
// same way for every door that prints plain text.
package format
