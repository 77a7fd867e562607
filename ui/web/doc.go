// Package web is the guarded door on loopback and the read-only page behind
// it.
//
// What always holds:
//   - It listens on 127.0.0.1 and [::1] with one port and on nothing else.
//     A port of which somebody else holds either half is not taken: the other
//     half of "localhost" would be theirs.
//   - Every request passes the guard before any routing: exact Host as bytes,
//     origin-form target, GET or HEAD, no body, Sec-Fetch-Site and Origin of
//     this very page, then a secret. guard.go is the whole rule.
//   - The secret is the store's bearer token (also as the password of Basic)
//     or a session cookie, which only a one-time link gives. A request
//     without Sec-Fetch-Site is a program: it needs the bearer.
//   - Cookies ignore ports, so another server on this host can see ours when
//     the same browser visits it. That is why the cookie never suffices by
//     itself, carries an unguessable name, dies with the process and lasts
//     12 hours.
//   - No GET changes anything but the one-time link, which is used up.
//   - Nothing that came from mail reaches HTML but through html/template;
//     mail HTML is never sent, only its text. Control and direction-changing
//     characters are shown as their code points.
//   - Answers before the guard, those of net/http itself to malformed
//     requests, carry no data and no application headers.
//
// The page reads through Source, which ui/cli adapts to storage. Sources of
// the rules: DESIGN §8, FAULTS D.1, W3C Fetch Metadata, RFC 6265bis.
package web
