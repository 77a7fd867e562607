// Package save writes files whose names a sender chose into a directory that a
// person chose.
//
// What always holds:
//
//   - Name gives one path element that Unix and Windows accept and that is not
//     special to either: no separator, device name, stream, hidden file, option
//     or invisible character.
//   - A Dir writes through os.Root, so no name leads out of the directory,
//     also none that Name let through, and no link in it is followed out of it.
//   - An existing file is never overwritten or appended to.
package save
