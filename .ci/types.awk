# Reads Go files and prints every type that carries state with more than 40 methods, or methods in more than 4 files of its
# package; status 1 if any. Types that are a bundle of independent verbs, one noun or command a file, are free.

BEGIN {
	free["storage Reader"] = free["storage Writer"] = free["storage/check checker"] = free["storage/check part"] = 1 # a noun a file
	free["engine/imap Session"] = free["ui/cli app"] = 1 # a command a file
	free["engine/imap scanner"] = 1 # a kind of token a file
}

FNR == 1 {
	package = FILENAME
	sub(/\/?[^\/]*$/, "", package)
}

match($0, /^func \(([A-Za-z_0-9]+ )?\*?[A-Za-z_0-9]+/) {
	type = substr($0, RSTART + 6, RLENGTH - 6)
	sub(/^.* /, "", type)
	sub(/^\*/, "", type)
	type = package " " type
	methods[type]++
	if (!((type, FILENAME) in seen)) {
		seen[type, FILENAME] = 1
		files[type]++
	}
}

END {
	for (type in methods)
		if (!(type in free) && (methods[type] > 40 || files[type] > 4)) {
			printf "%s: %d methods in %d files, the most is 40 in 4\n", type, methods[type], files[type]
			bad = 1
		}
	exit bad
}
