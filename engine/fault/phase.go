package fault

import "mailcote/engine/line"

// The phases that a fault names.
const (
	PhaseConnect  = line.StepConnect
	PhaseSignIn   = line.StepSignIn
	PhaseDiscover = line.StepGreet
	PhaseOpen     = "open"
	PhaseList     = "list"
	PhaseFlags    = "flags"
	PhaseFetch    = "fetch"
	PhaseStore    = "store"
)

// phased marks where an error happened.
type phased struct {
	phase string
	err   error
}

func (p *phased) Error() string { return p.phase + ": " + p.err.Error() }
func (p *phased) Unwrap() error { return p.err }

// In says in which phase an error happened. Of several marks the outermost counts. nil stays nil.
func In(phase string, err error) error {
	if err == nil {
		return nil
	}
	return &phased{phase, err}
}
