package gateway

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// deadlines is a response that knows whether its connection's reads were ended.
type deadlines struct {
	*httptest.ResponseRecorder
	ended bool
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	d.ended = true
	return nil
}

// A writer that is late, though all of the body has come, must not end the
// reads of the client's connection: net/http would take that for the client's
// leaving, for as long as the connection lasts.
func TestLateWriter(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	upload := make(chan error, 1)
	c := &call{w: w, upload: upload, source: newSource(w, body{stream: strings.NewReader("body")}, func() {})}
	if _, err := io.Copy(io.Discard, c.source); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(3*uploadGrace, func() { upload <- nil })
	if err := c.endUpload(); err != nil || !c.sent || w.ended {
		t.Errorf("error %v, sent %t, reads ended %t; want nil, true, false", err, c.sent, w.ended)
	}
}
