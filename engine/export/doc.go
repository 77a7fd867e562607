// Package export writes the mail of a store into files of other programs'
// formats.
//
// What always holds:
//
//   - Every file is inside the directory that was named: all are made through
//     os.Root, under names made by this package. No name of an account or a
//     mailbox is a path.
//   - A directory is new, empty, or was begun by the same export. Nothing that
//     is there is overwritten.
//   - A message is whole or not there. A file has its name when it is written
//     and on the disk. The same export goes on after a kill, and nothing is in
//     a file twice.
//   - The bytes of a message are those that the server sent. What a format
//     adds can be taken away again exactly; mbox.go says how.
//   - A message whose body is not fetched is counted, never written empty.
//
// The formats, under OUT, with one directory an account:
//
//	mbox     ACCOUNT/MAILBOX.mbox: mboxrd, with Status, X-Status and X-Keywords
//	maildir  ACCOUNT is a Maildir++: INBOX is its root, others are .MAILBOX in
//	         modified UTF-7 with a dot between levels, as Dovecot's default
//	         layout has them
//	eml      ACCOUNT/MAILBOX/DATE.VUIDVALIDITYUUID.eml, without flags
//	jsonl    ACCOUNT/MAILBOX.jsonl: an object a message, "raw" is its bytes in
//	         base64; null: the body is not fetched
//
// A file's time is INTERNALDATE in maildir and eml. A mailbox file (mbox,
// jsonl) that is finished stays as it is: later messages are counted and need
// another directory. A mailbox directory (maildir, eml) gets what it lacks.
package export
