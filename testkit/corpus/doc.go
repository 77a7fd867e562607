// Package corpus invents mail: a stream of believable RFC 5322 messages, the same for the same seed on every machine.
//
// Invariants: lines end in CRLF and are at most 998 bytes; every message has Date, From, To, Subject and a Message-ID
// of its own (the seed is part of it, so two seeds never collide); dates rise with the index; people, places and words
// are synthetic. Sizes are bytes of the whole message.
//
// Text is drawn from a few hundred real and synthetic words a language by Zipf's law, so that it compresses and
// searches about as real text does; attachments are noise, as compressed formats are.
package corpus
