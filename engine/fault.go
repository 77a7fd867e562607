package engine

import (
	"mailcote/engine/fault"
	"mailcote/storage/class"
)

// Short names for what nearly every file here speaks of.
type (
	Class = class.Class
	Fault = fault.Fault
)

// The classes.
const (
	Network  = class.Network
	Timeout  = class.Timeout
	Auth     = class.Auth
	Quota    = class.Quota
	Parsing  = class.Parsing
	TLS      = class.TLS
	Protocol = class.Protocol
	Mailbox  = class.Mailbox
	Conflict = class.Conflict
	Storage  = class.Storage
	Bug      = class.Bug
)
