// Package packing turns a piece of a raw message into a frame of the store and
// back, bit for bit. It is pure: nothing here reads or writes the store.
//
// A frame is one of:
//
//   - a zstd frame of the piece (RFC 8878), which begins with zstd's magic number
//   - the byte 1, a list of runs, and a zstd frame of the piece in which each run
//     of base64 lines (RFC 2045, section 6.8) stands decoded
//
// The list is the number of runs as a varint (encoding/binary), then for each run
// four varints: the bytes between the end of the last run and this one, the
// characters of its lines, the bytes that it decodes to, and how its lines end
// (0: CR LF, 1: LF).
//
// Invariants:
//   - Unpack(Pack(piece)) is piece. A run is lines that encoding them again gives
//     exactly: of one length, in the strict alphabet, the last one shorter or not.
//     Pack puts every piece together again before it gives a frame with runs, and
//     gives a zstd frame of the piece as it is if one byte differs.
//   - Unpack never panics and never makes more than MaxPiece bytes, whatever the
//     frame is. A frame that it cannot read is an ErrDamaged.
//   - A frame that was written once is readable for ever: a new form gets a first
//     byte of its own.
package packing
