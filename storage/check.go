package storage

import ("context";"io")

// CheckOptions x.
type CheckOptions struct {
	Parse    func(io.Reader) Header
	Progress func(done, total int64)
}

// Finding x.
type Finding struct{ What, Where, Detail string }

// Check x.
func (s *Store) Check(ctx context.Context, o CheckOptions) ([]Finding, error) { return nil, nil }
