package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakWorker is a language's worker with its contract function. In process,
// "%[1]s" is the folder of all runtimes and "%[2]s" that of compiled files.
type soakWorker struct {
	language, program string // program is what must be installed
	compile           string // a shell command, if there is one
	process           string
	module, volume    string
}

func soakWorkers() []soakWorker {
	return []soakWorker{
		{"python", "python3", "", "python3 %[1]s/python/worker.py", "contract", "%[1]s/python/contract"},
		{"nodejs", "node", "", "node %[1]s/nodejs/worker.js", "contract", "%[1]s/nodejs/contract"},
		{"ruby", "ruby", "", "ruby --disable-gems %[1]s/ruby/worker.rb", "contract", "%[1]s/ruby/contract"},
		{"php", "php", "", "php %[1]s/php/worker.php", "contract", "%[1]s/php/contract"},
		{"java", "javac", "cd %[1]s/java && javac -nowarn -d %[2]s params/*.java Worker.java contract/Contract.java", "java -cp %[2]s Worker",
			"Contract", "%[2]s"},
		{"binary", "cc", "cc -O2 -pthread -o %[2]s/worker %[1]s/../incubator/binary/worker/*.c && install %[1]s/../incubator/binary/contract/contract %[2]s",
			"%[2]s/worker %[2]s/contract", "contract", "%[2]s"},
	}
}

// Clients of all kinds send tokens to every language that is installed, for
// SOAK, a duration such as 60s, altogether. Whatever happens beside it, with
// workers that end and clients that leave, a call gets its own token or an error.
func TestSoak(t *testing.T) {
	within, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip("SOAK is not a duration")
	}
	stable, err := filepath.Abs("../stable")
	if err != nil {
		t.Fatal(err)
	}
	var installed []soakWorker
	for _, w := range soakWorkers() {
		if _, err := exec.LookPath(w.program); err == nil {
			installed = append(installed, w)
		}
	}
	for i, w := range installed {
		t.Run(w.language, func(t *testing.T) {
			out := t.TempDir()
			in := func(text string) string { return strings.NewReplacer("%[1]s", stable, "%[2]s", out).Replace(text) }
			if w.compile != "" {
				if text, err := exec.Command("sh", "-c", in(w.compile)).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, text)
				}
			}
			p := start(t, []string{"FUNC_LOOPS=1", "FUNC_LOOPS=0"}[i%2], "FUNC_PROCESS="+in(w.process), "FUNC_MAX_WORKERS=3", "FUNC_WORKER_CONCURRENCY=16", "MOD_NAME="+w.module,
				"FUNC_HANDLER=handler", "FUNC_TIMEOUT=20", "KUBELESS_INSTALL_VOLUME="+in(w.volume)).ready()
			soak(t, p, within/time.Duration(len(installed)))
		})
	}
}

func soak(t *testing.T, p *proxy, within time.Duration) {
	var all sync.WaitGroup
	var good, failed, crossed atomic.Int64
	for i := range 12 {
		all.Add(1)
		go func() {
			defer all.Done()
			own := &proxy{t: t, url: p.url, client: newClient()}
			if i%4 == 3 {
				own.http2()
			}
			defer own.client.CloseIdleConnections()
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for n, end := 0, time.Now().Add(within); time.Now().Before(end); n++ {
				token := strings.Repeat(fmt.Sprintf("client %d call %d; ", i, n), []int{1, 1, 1, 20, 5000}[random.IntN(5)])
				switch status, body := soakCall(p, own, random, token); {
				case status == http.StatusOK && body != token:
					crossed.Add(1)
					t.Errorf("%q came back as %q", shorten(token), shorten(body))
				case status == http.StatusOK:
					good.Add(1)
				case strings.Contains(body, "client "):
					t.Errorf("an error has somebody's token: %d, %q", status, shorten(body))
				default:
					failed.Add(1)
				}
			}
		}()
	}
	all.Wait()
	t.Logf("%d calls had their token, %d failed, %d were crossed", good.Load(), failed.Load(), crossed.Load())
	// How many fail beside a worker that ends depends on how fast the machine
	// starts the next.
	if good.Load() < failed.Load() {
		t.Errorf("%d calls had their token, and %d failed", good.Load(), failed.Load())
	}
	p.eventually("calm", func() bool {
		return p.metric(`function_workers{state="busy"}`) == "0" && p.metric("function_queue_length") == "0" && p.status("/") == http.StatusOK
	})
}

// soakCall sends a token, and sometimes something else before.
func soakCall(p, own *proxy, random *rand.Rand, token string) (status int, body string) {
	ask := func(what map[string]any) io.Reader {
		data, err := json.Marshal(what)
		if err != nil {
			panic(err)
		}
		return strings.NewReader(string(data))
	}
	asJSON := []string{"Content-Type", "application/json"}
	switch random.IntN(400) {
	case 0: // of which others may be in the worker
		own.do("POST", "/", ask(map[string]any{"do": []string{"exit", "crash"}[random.IntN(2)]}), asJSON...)
	case 1, 2, 3, 4, 5: // leaves
		if c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://")); err == nil {
			const call = `{"do":"echo","value":"client that left"}`
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(call), call)
			c.Close()
		}
	case 6, 7, 8:
		own.do("POST", "/", ask(map[string]any{"do": "fail"}), asJSON...)
	case 9, 10, 11:
		own.do("POST", "/", ask(map[string]any{"do": "sleep", "seconds": 0.05}), asJSON...)
	}
	sent := ask(map[string]any{"do": "echo", "value": token})
	if random.IntN(4) == 0 {
		sent = io.MultiReader(sent) // without a length
	}
	a := own.do("POST", "/", sent, asJSON...)
	if a.err != nil {
		return 0, ""
	}
	return a.status, a.body
}
