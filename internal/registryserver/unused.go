package registryserver

import (
	"net"
	"net/http"
	"sync"
)

// unusedConns are the connections on which no request has come yet. HTTP
// clients open them in reserve, and http.Server.Shutdown gives each five
// seconds to send one, which would make every Close that slow.
type unusedConns struct {
	mu      sync.Mutex
	conns   map[net.Conn]bool
	closing bool
}

// note is an http.Server's ConnState.
func (u *unusedConns) note(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, conn)
	case u.closing:
		_ = conn.Close()
	case u.conns == nil:
		u.conns = map[net.Conn]bool{conn: true}
	default:
		u.conns[conn] = true
	}
}

// close closes them, and those that are opened from now on.
func (u *unusedConns) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closing = true
	for conn := range u.conns {
		_ = conn.Close()
	}
}
