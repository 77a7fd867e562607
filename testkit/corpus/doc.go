// Package corpus invents mail: a stream of believable RFC 5322 messages. The
// same seed gives the same messages on every machine.
//
// What always holds:
//
//   - Lines end in CRLF and have at most 998 bytes.
//   - Every message has Date, From, To, Subject and a Message-ID of its own.
//     The seed is part of the Message-ID, so that two seeds never collide.
//   - Dates rise with the index.
//   - People, places and words are synthetic.
//
// Sizes are bytes of the whole message. Text is drawn by Zipf's law from a few
// hundred real and synthetic words a language, so that it compresses and
// searches about as real text does. Attachments are noise, as compressed
// formats are.
package corpus
