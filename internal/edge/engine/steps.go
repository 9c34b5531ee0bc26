package engine

import (
	"bytes"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/rtbuild/rtbuild/pkg/build"
)

const (
	// logLines is how many of a step's last lines a StepError carries.
	logLines = 20
	// longestLine bounds what is kept of one line, in bytes.
	longestLine = 4096
)

// stepName matches the names of vertices that are instructions of the
// Dockerfile: "[2/3] RUN …", "[linux/amd64 build 2/3] COPY …".
var stepName = regexp.MustCompile(`^\[(?:[^\]]* )?\s*\d+/\d+\] `)

// fromName matches those that fetch a base image. They are the registry's
// doing, or the network's, and never counted as steps.
var fromName = regexp.MustCompile(`^\[[^\]]*\] FROM `)

// A stepRecord keeps what the engine reported of one build's vertices.
type stepRecord struct {
	vertices map[digest.Digest]*client.Vertex
	logs     map[digest.Digest]*logTail
	// order holds the vertices' digests in the order of their first report.
	order []digest.Digest
}

func newStepRecord() *stepRecord {
	return &stepRecord{vertices: map[digest.Digest]*client.Vertex{}, logs: map[digest.Digest]*logTail{}}
}

func (r *stepRecord) add(s *client.SolveStatus) {
	for _, v := range s.Vertexes {
		if r.vertices[v.Digest] == nil {
			r.order = append(r.order, v.Digest)
		}
		r.vertices[v.Digest] = v
	}
	for _, l := range s.Logs {
		if r.logs[l.Vertex] == nil {
			r.logs[l.Vertex] = newLogTail()
		}
		r.logs[l.Vertex].write(l.Stream, l.Data)
	}
}

// cached tells whether no step had to run.
func (r *stepRecord) cached() bool {
	for _, v := range r.vertices {
		if isStep(v) && v.Started != nil && !v.Cached {
			return false
		}
	}
	return true
}

// retriedExport tells whether BuildKit said that it tried again by itself to
// send something.
func (r *stepRecord) retriedExport() bool {
	for vertex, log := range r.logs {
		if v := r.vertices[vertex]; v != nil && stepName.MatchString(v.Name) {
			continue
		}
		if slices.ContainsFunc(log.last(), func(line string) bool { return strings.HasPrefix(line, "retrying in ") }) {
			return true
		}
	}
	return false
}

// failed returns the step that failed first, and its log. Steps that were
// stopped because another failed do not count.
func (r *stepRecord) failed() (*client.Vertex, []string) {
	var first *client.Vertex
	for _, d := range r.order {
		v := r.vertices[d]
		if v.Error == "" || !isStep(v) || strings.Contains(v.Error, "context canceled") {
			continue
		}
		if first == nil || v.Completed != nil && first.Completed != nil && v.Completed.Before(*first.Completed) {
			first = v
		}
	}
	if first == nil {
		return nil, nil
	}
	return first, r.logs[first.Digest].last()
}

func isStep(v *client.Vertex) bool {
	return stepName.MatchString(v.Name) && !fromName.MatchString(v.Name)
}

// dockerfileErrors matches what the Dockerfile frontend says of a Dockerfile
// that it cannot turn into steps. Engines send it as text only.
var dockerfileErrors = regexp.MustCompile(`dockerfile parse error|failed to parse stage name|target stage "?[^ ]* could not be found|file with no instructions`)

// blame makes err a StepError where the Dockerfile is at fault, a *pushError
// where the push is, and leaves it alone where the engine or the network is.
func (b *builder) blame(ctx context.Context, req build.Request, steps *stepRecord, err error) error {
	if v, log := b.concurrent.failed(ctx, steps, err); v != nil {
		return &build.StepError{Name: req.Name, Step: v.Name, Log: log, Err: err}
	}
	if dockerfileErrors.MatchString(err.Error()) || stepFailure.MatchString(err.Error()) {
		return &build.StepError{Name: req.Name, Err: err}
	}
	return exporterPushError(req, steps, err)
}

// A logTail keeps the last lines of a log that comes in pieces, from the
// streams of one process.
type logTail struct {
	lines []string
	// partial holds each stream's last line as long as it is not complete.
	partial map[int][]byte
}

func newLogTail() *logTail { return &logTail{partial: map[int][]byte{}} }

func (t *logTail) write(stream int, data []byte) {
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		room := max(longestLine-len(t.partial[stream]), 0)
		t.partial[stream] = append(t.partial[stream], line[:min(len(line), room)]...)
		if !complete {
			return
		}
		t.lines = append(t.lines, visible(t.partial[stream]))
		t.partial[stream] = t.partial[stream][:0]
		t.lines = t.lines[max(len(t.lines)-logLines, 0):]
		data = rest
	}
}

// last returns the lines; a nil tail has none.
func (t *logTail) last() []string {
	if t == nil {
		return nil
	}
	lines := slices.Clone(t.lines)
	for _, stream := range slices.Sorted(maps.Keys(t.partial)) {
		if rest := t.partial[stream]; len(rest) > 0 {
			lines = append(lines, visible(rest))
		}
	}
	return lines[max(len(lines)-logLines, 0):]
}

// visible is what a terminal shows of a line in the end: what follows the
// last carriage return.
func visible(line []byte) string {
	line = bytes.TrimRight(line, "\r")
	return string(line[bytes.LastIndexByte(line, '\r')+1:])
}
