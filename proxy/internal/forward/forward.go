// Package forward sends calls to the server that a file names, and follows the
// file: what comes after it has changed goes to the next server, and what came
// before is answered by the last. So a server is replaced without a lost call
// and without another address.
package forward

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"sync/atomic"
	"time"
)

const (
	// patience is how long a server that does not accept connections is tried:
	// nothing was sent yet, so nothing is done twice.
	patience = 10 * time.Second
	pause    = 20 * time.Millisecond
)

// A Forwarder is the handler of such calls.
type Forwarder struct {
	file  string
	proxy *httputil.ReverseProxy
	dial  net.Dialer
	// last is the server that was named last: whoever writes the file may not
	// have come to its end.
	last atomic.Pointer[string]
}

// New follows a file that holds HOST:PORT and the end of the line.
func New(file string, log *slog.Logger) *Forwarder {
	f := &Forwarder{file: file}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: rewrite,
		// Each call has a connection of its own, so that none is sent on one that
		// the server is about to close.
		Transport:     &http.Transport{DialContext: f.connect, DisableKeepAlives: true, DisableCompression: true},
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return // the caller has left
			}
			log.Error("a call was not forwarded", "method", r.Method, "path", r.URL.Path, "error", err)
			http.Error(w, "the function does not answer", http.StatusBadGateway)
		},
	}
	return f
}

// rewrite leaves all as the caller sent it: the server behind is the one that
// decides what it trusts.
func rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", "function"
	r.Out.URL.RawQuery = r.In.URL.RawQuery // also what is no form
	r.Out.Host = r.In.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values
		}
	}
	if r.Out.Header.Get("X-Forwarded-For") == "" {
		if host, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
			r.Out.Header.Set("X-Forwarded-For", host)
		}
	}
	if _, ok := r.Out.Header["User-Agent"]; !ok {
		r.Out.Header.Set("User-Agent", "") // none, and not this program's
	}
}

// ServeHTTP implements http.Handler.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.proxy.ServeHTTP(w, r) }

// connect connects to the server that the file names now. Between two tries it
// may name another one.
func (f *Forwarder) connect(ctx context.Context, network, _ string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		address, err := f.server()
		if err == nil {
			var conn net.Conn
			if conn, err = f.dial.DialContext(ctx, network, address); err == nil {
				return conn, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// server is the HOST:PORT that the file names.
func (f *Forwarder) server() (string, error) {
	content, err := os.ReadFile(f.file)
	if line, ended := bytes.CutSuffix(content, []byte("\n")); err == nil && ended && len(line) > 0 {
		address := string(line)
		f.last.Store(&address)
		return address, nil
	}
	if last := f.last.Load(); last != nil {
		return *last, nil
	}
	if err == nil {
		err = errors.New(f.file + " is not written to its end")
	}
	return "", err
}
