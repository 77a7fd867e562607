// Package plan decides what a pass does. Its functions are pure: server listing and store in, actions out.
//
// What always holds: a plan fetches every listed message the store lacks, expunges only what a listing lacks, and
// vouches only for UIDs whose listed neighbours below it are known.
package plan
