// Package policy holds what is known about faults as data: the classes with
// their policies, and the refusals of known servers with the class of each. It
// is pure. Package fault classifies with it, package plan decides with it, and
// docs/errors.md is generated from it.
//
// Invariants:
//   - A row may lengthen the wait of its class but never shorten it.
//   - A row that would stop an account says where it applies. What a server
//     says about one message never stops an account.
//   - An answer that no row knows is judged by the phase and the status. An
//     unknown server is no reason to stop.
//   - Words about a limit or an outage stop the account at once if they name a
//     limit of the account (sign-ins, connections, bandwidth, "throttled").
//   - Rows whose words any backend may use about a single mailbox are Local. In
//     a NO or BAD to a command inside a mailbox (EXAMINE, SEARCH, FETCH,
//     STATUS) such words concern that mailbox only. They concern the account
//     once a second mailbox says them too, or if the account has only one.
//
// Sources: RFC 3501, 5530, 9051 and 9738 for the response codes; published
// traces and users' reports for the texts.
package policy
