// Package fault says what an error is. Classify gives an error its class and
// scope, what is done about it and what people can do. The servers' words and
// the classes' policies are data, in fault/policy. Errors that end work and
// have no better home are here, too.
//
// What always holds:
//   - Classify is the only function that gives an error a class.
//   - Whoever returns an error of a command or of the store says in which phase
//     it came (In). The same words mean different things in different phases.
//   - A fault wraps its error, so errors.Is still finds the cause.
package fault
