// Package web is the guarded door on loopback and the read-only page behind
// it.
//
// What always holds:
//   - It listens on 127.0.0.1 and [::1] with one port and on nothing else.
//     A port of which somebody else holds either half is not taken: the other
//     half of "localhost" would be theirs.
//   - Every request passes the guard before any routing: exact Host as bytes,
//     origin-form target, GET or HEAD, no body, Sec-Fetch-Site and Origin of
//     this very page, then a secret. guard.judge is the whole rule.
//   - The secret is the store's bearer token (also as the password of Basic)
//     or a session cookie. A request without Sec-Fetch-Site is a program: it
//     needs the bearer. Only the sign-in page needs no secret.
//   - A cookie comes for a one-time link or a code, each good once within
//     five minutes. A tab may come to a link from elsewhere, as from a file;
//     a code is taken only from a script of our own page.
//   - Cookies ignore ports, so other servers on this host could be sent ours.
//     That is why its Path is a secret prefix, which all addresses of pages
//     have. No answer to a request without a secret names it. Programs with
//     the token need no prefix.
//   - The prefix and the key of sessions are derived from the token. They last
//     as long, also over a restart, and end when the token's file is removed.
//   - A connection that shows no secret ends with its first answer or after
//     five seconds, and cannot take the place of one that has.
//   - No GET changes anything but the one-time link, which is used up.
//   - Nothing that came from mail reaches HTML but through html/template;
//     mail HTML is never sent as a page, only its text. Control and
//     direction-changing characters are shown as their code points.
//   - A link of a mail is shown with its whole target. Only http, https and
//     mailto can be opened, without an opener and without a referrer.
//   - A part of a mail is sent only as a file, behind the same guard: as an
//     attachment with a safe name, never with the sender's type, with nosniff
//     and in a sandbox.
//   - A stream of changes is an answer like others, behind the same guard. At
//     most maxStreams are open, so that they leave room for those who read.
//   - Answers before the guard, those of net/http itself to malformed
//     requests, carry no data and no application headers.
//
// The page reads through Source, which ui/view makes from the store. Sources of
// the rules: DESIGN §8, FAULTS D.1, W3C Fetch Metadata, RFC 6265bis.
package web
