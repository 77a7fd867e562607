package progress

// State is what the worker of an account does now.
type State string

// The states of a worker.
const (
	Idle       State = "idle" // nothing was begun yet
	Connecting State = "connecting"
	SigningIn  State = "signing in"
	Syncing    State = "syncing"
	Waiting    State = "waiting" // for a retry, a limit or room
	Offline    State = "offline" // for a network that is away for longer
	Paused     State = "paused"  // until a person acts
	Done       State = "done"    // the last pass ended with everything here
	Partial    State = "partial" // the last pass ended with something missing
	Failed     State = "failed"  // the last pass failed
)

// States returns every state, in the order above.
func States() []State {
	return []State{Idle, Connecting, SigningIn, Syncing, Waiting, Offline, Paused, Done, Partial, Failed}
}

// Works reports whether the worker is in the middle of a pass that moves.
func (s State) Works() bool { return s == Connecting || s == SigningIn || s == Syncing }
