# Reads Go files, bytes in LC_ALL=C, and prints every line of more than 120 columns; status 1 if any. A tab counts as four
# columns, an octet that continues a UTF-8 character as none. A line of a single word is free: it cannot be folded.
{
	text = $0
	gsub(/\t/, "    ", text)
	gsub(/[\200-\277]/, "", text)
	if (length(text) > 120 && NF > 1) {
		printf "%s:%d: %d columns, the most is 120\n", FILENAME, FNR, length(text)
		bad = 1
	}
}
END { exit bad }
