// Package terminal runs a program in a pseudo-terminal, and says what a person
// sees there.
//
// What always holds: the screen does what an ordinary terminal does with text,
// line breaks, cursor movements and erasing. What it does not know fails the
// test. Widths are cells: a wide character has two, a combining one none.
package terminal
