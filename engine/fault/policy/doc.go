// Package policy holds what is known about faults as data: the classes with
// their policy, and what servers say when they refuse, with the class each
// answer has. It is pure: fault.Classify asks it, worker.act does what the
// policy says, and docs/errors.md is written from it.
//
// What always holds:
//   - A row may lengthen the wait of its class, never shorten it.
//   - A row that would stop an account says where it counts: the words of a
//     server about one message stop no account.
//   - What no row knows is judged by where it came and by its status, so an
//     unknown server is no reason to stop.
//   - Words about a limit or an outage stop the account at once where they name
//     a limit of the account (sign-ins, connections, bandwidth, "throttled").
//     Rows whose words any backend may use for one mailbox alone are Local.
//     Such words in a NO or BAD to a command inside a mailbox (EXAMINE, SEARCH,
//     FETCH, STATUS) are about that mailbox, until a second mailbox of the
//     account says them too, or where the account has only one.
//
// Sources: RFC 3501, 5530, 9051, 9738 for the response codes; published traces
// and users' reports for the strings.
package policy
