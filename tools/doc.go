// Package tools pins, in a module of its own, the programs .ci/run uses: their dependencies stay out of mailcote's.
//
//	go tool -modfile=tools/go.mod staticcheck ./...
package tools
