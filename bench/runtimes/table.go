package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// table writes two tables in Markdown, as documentation has them: calls, then
// starts and sizes.
func (d *document) table(w io.Writer, clients []int, loads []load) error {
	calls := [][]string{{"runtime", "server", "load"}}
	starts := [][]string{{"runtime", "server", "cold start, s", "of it running, s", "image, MB"}}
	for _, n := range clients {
		calls[0] = append(calls[0], fmt.Sprintf("c=%d: req/s", n), "p50 ms", "p99 ms")
		starts[0] = append(starts[0], fmt.Sprintf("MiB after c=%d", n))
	}
	calls[0] = append(calls[0], "failed", "load average")
	starts[0] = append(starts[0], "note")
	for _, s := range d.Servers {
		starts = append(starts, s.startRow(clients))
		for _, l := range loads {
			if row := s.callRow(l.name, clients); row != nil {
				calls = append(calls, row)
			}
		}
	}
	if err := markdown(w, calls); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return markdown(w, starts)
}

// callRow is one load of a server; nil if it was not measured at all.
func (s *server) callRow(load string, clients []int) []string {
	row := []string{s.name(), s.Server, load}
	failed, quiet, busy, measured := 0, 0.0, 0.0, false
	for _, n := range clients {
		m := s.find(load, n)
		if m == nil {
			row = append(row, "", "", "")
			continue
		}
		failed += m.Failures
		if !measured {
			quiet, busy = m.LoadAverage, m.LoadAverage
		}
		measured, quiet, busy = true, min(quiet, m.LoadAverage), max(busy, m.LoadAverage)
		if m.Error != "" {
			row = append(row, "error", "", "")
			continue
		}
		row = append(row, fmt.Sprintf("%.0f", m.RequestsPerSecond), fmt.Sprintf("%.2f", 1000*m.P50Seconds), fmt.Sprintf("%.2f", 1000*m.P99Seconds))
	}
	if !measured {
		return nil
	}
	return append(row, fmt.Sprint(failed), fmt.Sprintf("%.1f–%.1f", quiet, busy))
}

func (s *server) find(load string, clients int) *measurement {
	for i, m := range s.Measurements {
		if m.Load == load && m.Clients == clients {
			return &s.Measurements[i]
		}
	}
	return nil
}

// startRow is a server's start, size and memory: that after the last load of
// so many clients.
func (s *server) startRow(clients []int) []string {
	row := []string{s.name(), s.Server, "", "", ""}
	if len(s.ColdStarts) > 0 {
		median := slices.SortedFunc(slices.Values(s.ColdStarts), func(a, b coldStart) int { return cmp.Compare(a.Seconds, b.Seconds) })[len(s.ColdStarts)/2]
		row[2], row[3] = fmt.Sprintf("%.2f", median.Seconds), fmt.Sprintf("%.2f", median.RunningSeconds)
	}
	if s.ImageBytes > 0 {
		row[4] = fmt.Sprintf("%.0f", float64(s.ImageBytes)/1e6)
	}
	for _, n := range clients {
		cell := ""
		for _, m := range s.Measurements {
			if m.Clients == n && m.MemoryBytes > 0 {
				cell = fmt.Sprintf("%.0f", mebibytes(m.MemoryBytes))
			}
		}
		row = append(row, cell)
	}
	note := s.Note
	if s.Error != "" {
		note = "error"
	}
	return append(row, note)
}

// markdown writes a table; its first row is the header.
func markdown(w io.Writer, rows [][]string) error {
	rule := make([]string, len(rows[0]))
	for i := range rule {
		rule[i] = "---"
	}
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | ")); err != nil {
			return err
		}
	}
	return nil
}
