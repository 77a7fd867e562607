// Package chunk brings the octets of one message in parts, BODY.PEEK[]<from.most>, over as many sessions as it takes.
//
// What always holds: octets count only when the whole response they came in was read, for behind a literal whose
// size is wrong nothing fits; a part is never larger than was asked for; the end is a short answer that
// RFC822.SIZE or a further answer confirms, and RFC822.SIZE alone ends nothing. The parts grow while they come
// and shrink when sessions break.
package chunk
