package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// clients is how many connections send calls at once.
const clients = 32

// BenchmarkProxy measures calls of a trivial Go worker through the proxy, by 32
// keep-alive connections on loopback. The worker of "hello" does not even read
// what it is asked. cpu-µs/op, mallocs/op and B-alloc/op are
// those of the proxy's process alone, from its own metrics; worker-µs/op is the
// CPU time of all workers.
func BenchmarkProxy(b *testing.B) {
	for _, workload := range workloads() {
		b.Run(workload.name, func(b *testing.B) {
			measure(b, workload, workload.worker, "TEST_CONCURRENCY=256", "FUNC_MAX_WORKERS=1")
		})
	}
}

// BenchmarkScaling measures workers that take one call at once, as many as the
// proxy starts.
func BenchmarkScaling(b *testing.B) { measure(b, workloads()[0]) }

func measure(b *testing.B, w workload, env ...string) {
	p := start(b, env...).ready()
	series := map[string]string{"process_cpu_seconds_total": "", "go_memstats_mallocs_total": "mallocs/op",
		"go_memstats_alloc_bytes_total": "B-alloc/op"}
	before := map[string]float64{}
	for name := range series {
		before[name] = p.number(b, name)
	}
	workers := childrenCPU(b, p.cmd.Process.Pid)
	load(b, strings.TrimPrefix(p.url, "http://"), w)
	per := float64(b.N)
	b.ReportMetric((childrenCPU(b, p.cmd.Process.Pid)-workers)*1e6/per, "worker-µs/op")
	for name, unit := range series {
		grown := p.number(b, name) - before[name]
		if unit == "" {
			grown, unit = grown*1e6, "cpu-µs/op"
		}
		b.ReportMetric(grown/per, unit)
	}
	b.ReportMetric(float64(strings.Count(p.err.String(), "worker ready")), "workers")
}

// childrenCPU is the CPU time of a process's living children, in seconds.
func childrenCPU(b *testing.B, parent int) float64 {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // has ended
		}
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if fields[1] != strconv.Itoa(parent) {
			continue
		}
		for _, ticks := range fields[11:13] { // user and system time, in 1/100 s
			n, err := strconv.ParseFloat(ticks, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += n / 100
		}
	}
	return sum
}

// BenchmarkBare measures the worker without the proxy, for comparison.
func BenchmarkBare(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, workload := range workloads() {
		b.Run(workload.name, func(b *testing.B) { bare(b, self, workload) })
	}
}

func bare(b *testing.B, self string, workload workload) {
	address := fmt.Sprintf("127.0.0.1:%d", freePort(b))
	cmd := exec.Command(self)
	cmd.Env = []string{"TEST_ROLE=worker", "TEST_CONCURRENCY=256", "FUNC_UPSTREAM=" + address, workload.worker}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			b.Fatal(err)
		}
	}
	load(b, address, workload)
}

type workload struct {
	name, request string
	worker        string // a setting of it
}

func workloads() []workload {
	body := strings.Repeat("x", 1024)
	return []workload{
		{"hello", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "TEST_SAME=1"},
		{"echo1KB", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + body, "TEST_SAME="},
		{"echo100KB", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 102400\r\n\r\n" +
			strings.Repeat(body, 100), "TEST_SAME="},
	}
}

func (p *proxy) number(b *testing.B, series string) float64 {
	n, err := strconv.ParseFloat(p.metric(series), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// load sends b.N calls, as cheaply as a Go program can: ready-made bytes out,
// only the length of the answer read.
func load(b *testing.B, address string, w workload) {
	var all sync.WaitGroup
	b.ResetTimer()
	for i := range clients {
		n := b.N / clients
		if i < b.N%clients {
			n++
		}
		all.Add(1)
		go func() {
			defer all.Done()
			if err := calls(address, w.request, n); err != nil {
				b.Error(err)
			}
		}()
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func calls(address, request string, n int) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	failed := make(chan error, 1)
	write := func() {
		_, err := io.WriteString(c, request)
		failed <- err
	}
	for range n {
		if len(request) > 64<<10 { // more than sockets hold: the answer comes meanwhile
			go write()
		} else {
			write()
		}
		if err := readAnswer(in); err != nil {
			return err
		}
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

func readAnswer(in *bufio.Reader) error {
	length := -1
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(string(line), "HTTP/1.1 200 ") {
			return fmt.Errorf("answer %q", line)
		}
		if v, ok := strings.CutPrefix(string(line), "Content-Length: "); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(v)); err != nil {
				return err
			}
		}
		if len(line) == 2 {
			_, err = in.Discard(length)
			return err
		}
	}
}
