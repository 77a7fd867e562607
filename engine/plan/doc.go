// Package plan decides what a pass does. Its functions are pure: server listing
// and store in, actions out.
//
// What always holds: a plan fetches every listed message that the store lacks.
// It expunges only what a listing lacks. It vouches only for UIDs whose listed
// neighbours below are known.
package plan
