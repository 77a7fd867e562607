package policy

// The phases of a fault: what was being done.
const (
	PhaseConnect  = "connect"
	PhaseSignIn   = string(SignIn)
	PhaseDiscover = "discover"
	PhaseOpen     = string(Open)
	PhaseList     = "list"
	PhaseFlags    = "flags"
	PhaseFetch    = string(Fetch)
	PhaseStore    = "store"
)
