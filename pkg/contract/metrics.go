package contract

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics are what a server tells in Prometheus' text format, by the names of
// families.
type metrics map[string]*dto.MetricFamily

// parseMetrics reads Prometheus' text format; an error says which line is wrong.
func parseMetrics(text string) (metrics, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(strings.NewReader(text))
}

// calls adds up what a counter or, of a histogram, its count says of a method;
// without such a sample it is 0.
func (m metrics) calls(family, method string) float64 {
	total := 0.0
	for _, metric := range m[family].GetMetric() {
		of := func(label *dto.LabelPair) bool { return label.GetName() == "method" && label.GetValue() == method }
		if slices.ContainsFunc(metric.GetLabel(), of) {
			total += metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return total
}

// types wants families to be declared with these types.
func (m metrics) types(want map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got := "nothing"
		if family := m[name]; family != nil {
			got = strings.ToLower(family.GetType().String())
		}
		if got != want[name] {
			return fmt.Errorf("/metrics: want %s as a %s, got %s", name, want[name], got)
		}
	}
	return nil
}
