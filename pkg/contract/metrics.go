package contract

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// metrics are what a server tells in Prometheus' text format.
type metrics struct {
	kinds   map[string]string // by family
	samples []sample
}

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?$`)
	labelPair  = regexp.MustCompile(`^[ \t,]*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

func parseMetrics(text string) (metrics, error) {
	m := metrics{kinds: map[string]string{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if words := strings.Fields(line); len(words) == 4 && words[0] == "#" && words[1] == "TYPE" {
			m.kinds[words[2]] = words[3]
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		match := sampleLine.FindStringSubmatch(line)
		if match == nil {
			return metrics{}, fmt.Errorf("%s is not a line of Prometheus' text format", quote(line))
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			return metrics{}, fmt.Errorf("%s: %w", quote(line), err)
		}
		labels, err := parseLabels(match[2])
		if err != nil {
			return metrics{}, fmt.Errorf("%s: %w", quote(line), err)
		}
		m.samples = append(m.samples, sample{name: match[1], labels: labels, value: value})
	}
	return m, nil
}

func parseLabels(text string) (map[string]string, error) {
	labels := map[string]string{}
	for strings.Trim(text, " \t,") != "" {
		match := labelPair.FindStringSubmatch(text)
		if match == nil {
			return nil, errors.New("its labels are malformed")
		}
		labels[match[1]] = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(match[2])
		text = text[len(match[0]):]
	}
	return labels, nil
}

// sum adds up the samples of this name and label method; none is 0.
func (m metrics) sum(name, method string) float64 {
	total := 0.0
	for _, s := range m.samples {
		if s.name == name && s.labels["method"] == method {
			total += s.value
		}
	}
	return total
}

// types wants families to be declared with these types.
func (m metrics) types(want map[string]string) error {
	for _, family := range slices.Sorted(maps.Keys(want)) {
		if got := m.kinds[family]; got != want[family] {
			return fmt.Errorf("/metrics: want %s as a %s, got %q", family, want[family], got)
		}
	}
	return nil
}
