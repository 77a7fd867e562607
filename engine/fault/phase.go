package fault

import "mailcote/engine/fault/policy"

// The phases that a fault names.
const (
	PhaseConnect  = policy.PhaseConnect
	PhaseSignIn   = policy.PhaseSignIn
	PhaseDiscover = policy.PhaseDiscover
	PhaseOpen     = policy.PhaseOpen
	PhaseList     = policy.PhaseList
	PhaseFlags    = policy.PhaseFlags
	PhaseFetch    = policy.PhaseFetch
	PhaseStore    = policy.PhaseStore
)

// phased marks where an error happened.
type phased struct {
	phase string
	err   error
}

func (p *phased) Error() string { return p.phase + ": " + p.err.Error() }
func (p *phased) Unwrap() error { return p.err }

// In says in which phase an error happened. The outermost mark counts. nil
// stays nil.
func In(phase string, err error) error {
	if err == nil {
		return nil
	}
	return &phased{phase, err}
}
