// Package chunk downloads the octets of one message in parts,
// BODY.PEEK[]<from.most>, over as many sessions as it takes.
//
// What always holds:
//   - Octets count only once the whole response they came in was read. After a
//     literal of a wrong size nothing can be trusted.
//   - A part is never larger than was asked for.
//   - The end is a short answer that RFC822.SIZE or a further answer confirms.
//     RFC822.SIZE alone ends nothing.
//   - Parts grow while they come and shrink when sessions break.
package chunk
