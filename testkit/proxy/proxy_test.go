package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers every connection with content and echoes what it is sent afterwards.
func server(t *testing.T, content []byte) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				if _, err := conn.Write(content); err == nil {
					_, _ = io.Copy(conn, conn)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readAll connects and reads to the end. A cut may be so early that it shows in the connecting.
func readAll(t *testing.T, p *Proxy) ([]byte, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.Addr(), 20*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return io.ReadAll(conn)
}

func pattern(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i * 7)
	}
	return out
}

func TestForward(t *testing.T) {
	content := pattern(3 << 20)
	p := Start(t, server(t, content), 1)
	conn := dial(t, p)
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, append(content, "hello"...)) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if want := (Stats{Connections: 1, Up: 5, Down: int64(len(content) + 5)}); p.Stats() != want {
		t.Fatalf("stats %+v, want %+v", p.Stats(), want)
	}
}

func TestCutDown(t *testing.T) {
	content := pattern(100_000)
	p := Start(t, server(t, content), 1)
	for _, k := range []int64{1, 2, 1000, 32 << 10, 99_999} {
		p.Set(Faults{CutDown: k})
		got, err := readAll(t, p)
		// A reset may overtake bytes, so fewer than k may arrive; never more, and never an orderly end.
		if err == nil || int64(len(got)) > k || !bytes.HasPrefix(content, got) {
			t.Fatalf("cut at %d: %d bytes, %v", k, len(got), err)
		}
	}
	if n := p.Stats().Cuts; n != 5 {
		t.Fatalf("%d cuts", n)
	}
}

func TestCutUp(t *testing.T) {
	p := Start(t, server(t, nil), 1)
	p.Set(Faults{CutUp: 3})
	conn := dial(t, p)
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err == nil || len(got) > 3 {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestCutEvery(t *testing.T) {
	content := pattern(1 << 20)
	addr := server(t, content)
	p := Start(t, addr, 7)
	p.Set(Faults{CutEvery: 100_000, CutsAtMost: 3})
	for range 3 {
		if got, err := readAll(t, p); err == nil || len(got) > 150_000 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	conn := dial(t, p)
	got := make([]byte, len(content))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("after the last cut: %v", err)
	}
}

func TestCutShare(t *testing.T) {
	content := pattern(1000)
	p := Start(t, server(t, content), 3)
	p.Set(Faults{CutShare: 0.25})
	broken := 0
	for range 100 {
		conn, err := net.Dial("tcp", p.Addr())
		if err == nil {
			_, err = io.ReadFull(conn, make([]byte, len(content)))
			conn.Close()
		}
		if err != nil { // a cut may be so early that it shows in the connecting
			broken++
		}
	}
	if n := p.Stats().Cuts; broken < 10 || broken > 45 || n < broken {
		t.Fatalf("%d of 100 connections broke, %d cuts", broken, n)
	}
}

func TestDelay(t *testing.T) {
	p := Start(t, server(t, nil), 1)
	p.Set(Faults{Delay: 50 * time.Millisecond})
	conn := dial(t, p)
	began := time.Now()
	const n = 4 << 20
	go func() { _, _ = conn.Write(pattern(n)) }()
	if _, err := io.ReadFull(conn, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Fatalf("round trip of %v", took)
	}
}

func TestRate(t *testing.T) {
	p := Start(t, server(t, pattern(20_000)), 1)
	p.Set(Faults{Rate: 100_000})
	began := time.Now()
	if _, err := io.ReadFull(dial(t, p), make([]byte, 20_000)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Fatalf("20 kB at 100 kB/s took %v", took)
	}
}

func TestBlackHole(t *testing.T) {
	p := Start(t, server(t, nil), 1)
	conn := dial(t, p)
	p.Set(Faults{BlackHole: true})
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read from a black hole: %v", err)
	}
	p.Set(Faults{})
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatalf("after the black hole: %v", err)
	}
	p.Set(Faults{BlackHole: true})
	if _, err := conn.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	p.Close() // must not hang
}

func TestRefuseAndCutAll(t *testing.T) {
	p := Start(t, server(t, nil), 1)
	conn := dial(t, p)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p.CutAll()
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Fatalf("after CutAll: %v", err)
	}
	p.Set(Faults{Refuse: true})
	refused, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return // the reset was faster than the handshake's end
	}
	defer refused.Close()
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Fatal("a refused connection was served")
	}
	down := Start(t, "127.0.0.1:1", 1)
	if _, err := readAll(t, down); err == nil {
		t.Fatal("a dead target was served")
	}
}
