package proxy

import "time"

// Kind is what happens at a place.
type Kind int

// The kinds.
const (
	Reset     Kind = iota // the connection is reset on both sides
	End                   // it is closed on both sides, in order
	HalfClose             // the server's side ends in order and says nothing more; what comes up is still delivered
	Void                  // nothing of this connection is delivered any more; sockets stay open, new connections work
	Deaf                  // the same for what comes down
	Mute                  // the same for what goes up
	Dark                  // Void for every connection there is and every one that is made within For
	Stall                 // nothing moves on any connection for For, then everything goes on
	Drip                  // this connection goes on at Rate
	Tiny                  // this connection goes on in segments of one octet
	Refuse                // Reset, and the next Connections are reset when they are made
	Portal                // Reset, and the next Connections reach a web server in place of the mail server
)

// Act is what happens at a place.
type Act struct {
	Kind        Kind
	For         time.Duration // Dark, Stall
	Rate        int64         // Drip: octets a second in each direction
	Connections int           // Refuse, Portal
}

// Arm sets a fault that comes once, when a connection reaches a place. Faults
// armed before stay. A connection made before the first Arm is not followed and
// reaches no place.
func (p *Proxy) Arm(place Place, act Act) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.follows = true
	p.armed = append(p.armed, &armed{place: place, act: act})
}

// Disarm removes the faults that are armed and ends those that last: what
// stalls goes on, new connections are served. It gives how many faults had not
// come.
func (p *Proxy) Disarm() (left int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left = len(p.armed)
	p.armed, p.refuse, p.portal, p.darkUntil, p.stallUntil = nil, 0, 0, time.Time{}, time.Time{}
	p.wake()
	return left
}

// befall carries out a fault.
func (l *link) befall(a Act) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	l.struck = false
	p.wake()
	switch a.Kind {
	case Reset:
		l.reset()
	case Refuse:
		p.refuse = a.Connections
		l.reset()
	case Portal:
		p.portal = a.Connections
		l.reset()
	case End:
		l.finish()
	case HalfClose:
		l.lost[down] = true
		closeWrite(l.client)
	case Void:
		l.lost = [2]bool{true, true}
	case Deaf:
		l.lost[down] = true
	case Mute:
		l.lost[up] = true
	case Dark:
		p.darkUntil = time.Now().Add(a.For)
		for other := range p.links {
			other.lost = [2]bool{true, true}
		}
	case Stall:
		p.stallUntil = time.Now().Add(a.For)
	case Drip:
		l.rate = a.Rate
	case Tiny:
		l.tiny = true
	}
}

// page is what a captive portal answers.
const page = "HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Type: text/html\r\nConnection: " +
	"close\r\n\r\n<html><body>Please sign in</body></html>\r\n"
