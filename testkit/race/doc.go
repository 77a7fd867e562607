// Package race tells tests whether the race detector is on. It makes our code up to twenty times slower and a program three times
// larger: less is done then, and figures that are promised of an ordinary build are not asked for.
package race
