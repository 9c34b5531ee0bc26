package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// callers is how many connections send calls at once.
const callers = 32

// BenchmarkProxy measures calls of a trivial Go worker through the proxy, by 32
// keep-alive connections on loopback. cpu-µs/op, mallocs/op and B-alloc/op are
// those of the proxy's process alone, from its own metrics.
func BenchmarkProxy(b *testing.B) {
	for _, workload := range workloads() {
		b.Run(workload.name, func(b *testing.B) {
			p := start(b, "TEST_CONCURRENCY=256", "FUNC_MAX_WORKERS=1").ready()
			address := strings.TrimPrefix(p.url, "http://")
			before, size := p.number(b, "go_memstats_mallocs_total"), p.number(b, "go_memstats_alloc_bytes_total")
			cpu := p.number(b, "process_cpu_seconds_total")
			load(b, address, workload)
			b.ReportMetric((p.number(b, "process_cpu_seconds_total")-cpu)*1e6/float64(b.N), "cpu-µs/op")
			b.ReportMetric((p.number(b, "go_memstats_mallocs_total")-before)/float64(b.N), "mallocs/op")
			b.ReportMetric((p.number(b, "go_memstats_alloc_bytes_total")-size)/float64(b.N), "B-alloc/op")
		})
	}
}

// BenchmarkBare measures the worker without the proxy, for comparison.
func BenchmarkBare(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort(b))
	cmd := exec.Command(self)
	cmd.Env = []string{"TEST_ROLE=worker", "TEST_CONCURRENCY=256", "FUNC_UPSTREAM=" + address}
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
	for _, workload := range workloads() {
		b.Run(workload.name, func(b *testing.B) { load(b, address, workload) })
	}
}

type workload struct{ name, request string }

func workloads() []workload {
	body := strings.Repeat("x", 1024)
	return []workload{
		{"hello", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"echo1KB", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + body},
		{"echo100KB", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 102400\r\n\r\n" +
			strings.Repeat(body, 100)},
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
	for i := range callers {
		n := b.N / callers
		if i < b.N%callers {
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
