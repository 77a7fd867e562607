// Package voice is how mailcote speaks in a terminal.
//
// The rules:
//
//   - stdout carries what was asked for, stderr everything said about it.
//   - Text that came from a server or a message is shown through Line or Text:
//     no control, bidi or invisible character reaches the terminal. JSON keeps
//     the value and writes such characters as \u escapes.
//   - An error is one line. A terminal gets it in as many as it needs, broken
//     between words.
//   - On a terminal a line fits. What is cut ends in an ellipsis. Elsewhere
//     nothing is cut.
//   - Colour is for terminals only, without NO_COLOR, TERM=dumb and --no-color.
//     Nothing is said by colour alone.
//   - Nobody is asked anything unless stdin is a terminal.
package voice
