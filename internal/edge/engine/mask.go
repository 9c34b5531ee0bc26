package engine

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

const (
	// masked replaces in output what was a secret.
	masked = "[secret]"
	// shortestMasked is the length from which on a line is kept out of the
	// output, in bytes: to mask shorter ones would make it unreadable and
	// their places would betray them all the same.
	shortestMasked = 4
)

// A mask keeps secrets out of what steps print: every line of a secret's file,
// without the white space around it, is replaced wherever it turns up.
type mask struct {
	// words are what to replace, by their first byte, the longest first.
	words map[byte][][]byte
	// held are ends of output that may be the beginnings of words.
	held map[logStream][]byte
}

// A logStream is one output of one step.
type logStream struct {
	vertex digest.Digest
	stream int
}

func newMask(secrets [][]byte) *mask {
	m := &mask{words: map[byte][][]byte{}, held: map[logStream][]byte{}}
	for _, secret := range secrets {
		for line := range bytes.Lines(secret) {
			if word := bytes.TrimSpace(line); len(word) >= shortestMasked {
				m.words[word[0]] = append(m.words[word[0]], word)
			}
		}
	}
	for _, words := range m.words {
		slices.SortFunc(words, func(a, b []byte) int { return cmp.Compare(len(b), len(a)) })
	}
	return m
}

// over returns the statuses with secrets masked. It ends when they do.
func (m *mask) over(statuses <-chan *client.SolveStatus) <-chan *client.SolveStatus {
	if len(m.words) == 0 {
		return statuses
	}
	out := make(chan *client.SolveStatus)
	go func() {
		defer close(out)
		for s := range statuses {
			out <- m.status(s)
		}
		if rest := m.flush(func(logStream) bool { return true }); len(rest) > 0 {
			out <- &client.SolveStatus{Logs: rest}
		}
	}()
	return out
}

// status returns a copy of s with its logs masked. Their ends come with a
// later status, the vertex's last at the latest.
func (m *mask) status(s *client.SolveStatus) *client.SolveStatus {
	c := *s
	c.Logs = nil
	for _, l := range s.Logs {
		key := logStream{l.Vertex, l.Stream}
		text, rest := m.replace(append(m.held[key], l.Data...), false)
		m.held[key] = rest
		if len(text) > 0 {
			masked := *l
			masked.Data = text
			c.Logs = append(c.Logs, &masked)
		}
	}
	for _, v := range s.Vertexes {
		if v.Completed != nil {
			c.Logs = append(c.Logs, m.flush(func(key logStream) bool { return key.vertex == v.Digest })...)
		}
	}
	return &c
}

// flush returns what is held of the chosen streams.
func (m *mask) flush(chosen func(logStream) bool) []*client.VertexLog {
	var logs []*client.VertexLog
	for key, rest := range m.held {
		if !chosen(key) {
			continue
		}
		delete(m.held, key)
		if text, _ := m.replace(rest, true); len(text) > 0 {
			logs = append(logs, &client.VertexLog{Vertex: key.vertex, Stream: key.stream, Data: text, Timestamp: time.Now()})
		}
	}
	return logs
}

// replace masks the words in text. Unless text is at its end, it holds back a
// rest that may go on as a word, or as a longer one.
func (m *mask) replace(text []byte, end bool) (out, rest []byte) {
	for i := 0; i < len(text); {
		found := 0
		for _, word := range m.words[text[i]] {
			if !end && len(text)-i < len(word) && bytes.HasPrefix(word, text[i:]) {
				return out, bytes.Clone(text[i:])
			}
			if found == 0 && bytes.HasPrefix(text[i:], word) {
				found = len(word)
			}
		}
		if found > 0 {
			out = append(out, masked...)
			i += found
			continue
		}
		out = append(out, text[i])
		i++
	}
	return out, nil
}
