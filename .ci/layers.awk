# Reads "importer imported" lines (import paths) and prints every arrow that points the wrong way; status 1 if any.
# The order is ui → engine → queue → storage (DESIGN §3); a package may import its own layer and those below.

function layer(p) {
	if (p == "mailcote") return 5
	if (p ~ /^mailcote\/ui(\/|$)/) return 4
	if (p ~ /^mailcote\/engine(\/|$)/) return 3
	if (p ~ /^mailcote\/queue(\/|$)/) return 2
	if (p ~ /^mailcote\/storage(\/|$)/ || p == "mailcote/bench/scale") return 1 # it drives the verbs of the store
	return 0
}

# Pure packages know nothing of ours but each its own parts, and storage/class: not the layers below either. pure gives the one
# that p is, or is a part of.
function pure(p) {
	if (match(p, /^mailcote\/engine\/(imap|message|fault\/policy|limit)|^mailcote\/storage\/(class|packing)/) && substr(p, RLENGTH + 1) ~ /^(\/|$)/)
		return substr(p, 1, RLENGTH)
	return ""
}

# The rooms of the engine, from above: a room imports those below it, and none beside it. Rooms that are not named here are tools.
function room(p) {
	if (p == "mailcote/engine") return 5
	if (p == "mailcote/engine/remote" || p == "mailcote/engine/reconcile") return 4
	if (p == "mailcote/engine/fetch") return 3
	if (p == "mailcote/engine/mailbox" || p == "mailcote/engine/health") return 2
	return p ~ /^mailcote\/engine\// ? 1 : 0
}

# The command line: nothing but the program and its own parts knows it.
function cli(p) { return p ~ /^mailcote\/ui\/cli(\/|$)/ }

function wrong(why) {
	printf "%s imports %s: %s\n", $1, $2, why
	bad = 1
}

$2 !~ /^mailcote(\/|$)/ || $2 == "mailcote/testkit/failpoint" { next }
$2 ~ /^mailcote\/(testkit|bench)(\/|$)/ && layer($1) > 0 { wrong("product code must not import the test kit"); next }
layer($1) == 0 && layer($2) > 0 { wrong("the test kit and the benchmark see mailcote from outside"); next }
pure($1) != "" && pure($2) != pure($1) && $2 != "mailcote/storage/class" { wrong("a pure package imports nothing of ours"); next }
$2 != $1 && room($1) > 1 && room($2) >= room($1) { wrong("a room of the engine imports none that is above or beside it"); next }
room($1) == 1 && room($2) > 2 { wrong("a tool of the engine knows no room that fetches"); next }
cli($2) && !cli($1) && $1 != "mailcote" { wrong("no other door knows the command line"); next }
$2 == "mailcote/storage/tables" && $1 != "mailcote/queue" && $1 != "mailcote/storage" {
	wrong("only the queue has tables of its own: ask package storage for a noun")
	next
}
$1 == "mailcote/storage/internal/file" && $2 !~ /^mailcote\/storage\/(disk|owner|internal\/schema)$/ {
	wrong("the machine under the store knows no mail")
	next
}
layer($2) > layer($1) { wrong("a lower layer must not know a higher one") }

END { exit bad }
