// Package metrics defines what /metrics shows.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rtbuild/rtbuild/proxy/internal/pool"
)

// Metrics counts calls. The three families and their label are the contract of
// all runtimes.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	failures *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	methods  map[string]*series // of all methods that have a label; never changed
	other    *series
}

// series are those of one method. They are looked up at its first call, since
// a series without a call must not be shown.
type series struct {
	once            sync.Once
	calls, failures prometheus.Counter
	duration        prometheus.Observer
}

// New makes the metrics; stats and dropped are read at each scrape.
func New(stats func() pool.Stats, dropped func() uint64) *Metrics {
	label := []string{"method"}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "function_calls_total", Help: "Number of calls to the function"}, label),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "function_failures_total", Help: "Number of calls that failed: status 5xx, or over time"}, label),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "function_duration_seconds", Help: "Duration of calls in seconds",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 180}}, label),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "function_refused_total", Help: "Number of requests that never reached the function, by status"},
			[]string{"status"}),
		methods: map[string]*series{}, other: new(series),
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace} {
		m.methods[method] = new(series)
	}
	m.registry.MustRegister(m.calls, m.failures, m.duration, m.refused, newWorkers(stats),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "function_log_lines_dropped_total", Help: "Log lines dropped because nobody reads the output"},
			func() float64 { return float64(dropped()) }),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector())
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Call counts a call that reached the function.
func (m *Metrics) Call(method string, failed bool, duration time.Duration) {
	s, ok := m.methods[method]
	if !ok { // clients must not make series without end
		s, method = m.other, "other"
	}
	s.once.Do(func() {
		s.calls = m.calls.WithLabelValues(method)
		s.failures = m.failures.WithLabelValues(method) // 0 is shown, too
		s.duration = m.duration.WithLabelValues(method)
	})
	s.calls.Inc()
	if failed {
		s.failures.Inc()
	}
	s.duration.Observe(duration.Seconds())
}

// Refuse counts a request that the proxy answered instead of the function.
func (m *Metrics) Refuse(status string) { m.refused.WithLabelValues(status).Inc() }

// workers collects the gauges of a pool from one snapshot.
type workers struct {
	stats                    func() pool.Stats
	count, waiting, restarts *prometheus.Desc
}

func newWorkers(stats func() pool.Stats) *workers {
	return &workers{
		stats:    stats,
		count:    prometheus.NewDesc("function_workers", "Number of worker processes", []string{"state"}, nil),
		waiting:  prometheus.NewDesc("function_queue_length", "Number of calls that wait for a worker", nil, nil),
		restarts: prometheus.NewDesc("function_worker_restarts_total", "Number of workers that crashed or were replaced", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (w *workers) Describe(ch chan<- *prometheus.Desc) {
	ch <- w.count
	ch <- w.waiting
	ch <- w.restarts
}

// Collect implements prometheus.Collector.
func (w *workers) Collect(ch chan<- prometheus.Metric) {
	s := w.stats()
	gauge := func(n int, state string) {
		ch <- prometheus.MustNewConstMetric(w.count, prometheus.GaugeValue, float64(n), state)
	}
	gauge(s.Starting, "starting")
	gauge(s.Idle, "idle")
	gauge(s.Busy, "busy")
	gauge(s.Draining, "draining")
	ch <- prometheus.MustNewConstMetric(w.waiting, prometheus.GaugeValue, float64(s.Queue))
	ch <- prometheus.MustNewConstMetric(w.restarts, prometheus.CounterValue, float64(s.Restarts))
}
