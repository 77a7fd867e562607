package cyrus

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// passwords answers in saslauthd's place: four strings with their lengths, user
// and password first, and one string back.
type passwords struct {
	listener net.Listener
	open     sync.WaitGroup
}

func checkPasswords(socket string) (*passwords, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		l.Close()
		return nil, err
	}
	p := &passwords{listener: l}
	p.open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.open.Go(func() { answer(conn) })
		}
	})
	return p, nil
}

func (p *passwords) close() {
	p.listener.Close()
	p.open.Wait()
}

func answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // a failure shows in the read
	var asked [4]string
	for i := range asked {
		var size uint16
		if binary.Read(conn, binary.BigEndian, &size) != nil {
			return
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(conn, text); err != nil {
			return
		}
		asked[i] = string(text)
	}
	verdict := "NO"
	if asked[0] == User && asked[1] == Password {
		verdict = "OK"
	}
	fmt.Fprintf(conn, "\x00%c%s", len(verdict), verdict)
}
