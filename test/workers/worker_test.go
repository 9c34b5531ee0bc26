package workers

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	root  = "../.."
	limit = 10 * time.Second // tells a hang from an answer
)

// language is a runtime's worker.
type language struct {
	name  string
	needs []string // programs
	kinds []string // of answers that its test function can give; none if functions get no response
	// prepare puts the function into a folder, and returns the command line of its
	// worker.
	prepare func(t *testing.T, folder string) []string
}

var compiled string // the folder of what is compiled, once in a run

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "rtbuild-workers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	compiled = folder
	return m.Run()
}

// compile has a language's worker compiled into a folder, and returns that. It
// is done by the first test that needs it.
func compile(t *testing.T, language string, into func(folder string)) string {
	t.Helper()
	folder := filepath.Join(compiled, language)
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	unfinished, err := os.MkdirTemp(compiled, "")
	if err != nil {
		t.Fatal(err)
	}
	into(unfinished)
	if err := os.Rename(unfinished, folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

// writes says whether functions write to their response.
func (l language) writes() bool { return l.kinds != nil && l.name != "python" }

func languages() []language {
	return []language{
		{"python", []string{"python3"}, []string{"text", "bytes", "json", "stream"}, func(t *testing.T, folder string) []string {
			copyFile(t, "testdata/wire.py", filepath.Join(folder, "wire.py"))
			return []string{"python3", "-BP", filepath.Join(absolute(t, "stable/python"), "worker.py")}
		}},
		{"nodejs", []string{"node"}, []string{"text", "bytes", "json", "stream", "send", "end", "head", "list", "removes"}, func(t *testing.T, folder string) []string {
			copyFile(t, "testdata/wire.js", filepath.Join(folder, "wire.js"))
			return []string{"node", filepath.Join(absolute(t, "stable/nodejs"), "worker.js")}
		}},
		{"ruby", []string{"ruby"}, []string{"text", "bytes", "json", "stream"}, func(t *testing.T, folder string) []string {
			copyFile(t, "testdata/wire.rb", filepath.Join(folder, "wire.rb"))
			return []string{"ruby", "--disable-gems", absolute(t, "stable/ruby/worker.rb")}
		}},
		{"php", []string{"php"}, []string{"text", "json", "response", "stream"}, func(t *testing.T, folder string) []string {
			copyFile(t, "testdata/wire.php", filepath.Join(folder, "wire.php"))
			return []string{"php", filepath.Join(absolute(t, "stable/php"), "worker.php")}
		}},
		{"go", []string{"go"}, []string{"text", "write", "stream"}, goWorker},
		{"java", []string{"java", "javac"}, nil, javaWorker},
		{"binary", []string{"cc"}, nil, func(t *testing.T, folder string) []string {
			copyFile(t, "testdata/wire.sh", filepath.Join(folder, "wire"))
			return []string{binaryWorker(t), filepath.Join(folder, "wire")}
		}},
	}
}

// binaryWorker compiles the worker of programs, so that it ends where it uses
// memory that is not its own.
func binaryWorker(t *testing.T) string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(absolute(t, "incubator/binary/worker"), "*.c"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	made := compile(t, "binary", func(made string) {
		run(t, made, "cc", append(sources, "-std=gnu17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-O1", "-pthread",
			"-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", "worker")...)
	})
	return filepath.Join(made, "worker")
}

// goWorker compiles the function into its worker, as go-function does.
func goWorker(t *testing.T, _ string) []string {
	library := absolute(t, "stable/go")
	made := compile(t, "go", func(made string) {
		copyFile(t, "testdata/wire.go.txt", filepath.Join(made, "wire.go"))
		write(t, filepath.Join(made, "go.mod"), "module function\n\ngo 1.24\n\nrequire github.com/kubeless/kubeless v0.0.0\n\n"+
			"replace github.com/kubeless/kubeless => "+library+"\n")
		write(t, filepath.Join(made, "main", "main.go"), `package main

import (
	kubeless "function"

	"github.com/kubeless/kubeless/pkg/worker"
)

func main() { worker.Serve(kubeless.Handler) }
`)
		run(t, made, "go", "build", "-o", "worker", "./main")
	})
	return []string{filepath.Join(made, "worker")}
}

func javaWorker(t *testing.T, folder string) []string {
	worker := absolute(t, "stable/java/Worker.java")
	params, err := filepath.Glob(filepath.Join(absolute(t, "stable/java/params"), "*.java"))
	if err != nil || len(params) == 0 {
		t.Fatalf("no classes of parameters: %v", err)
	}
	function := absolute(t, "test/workers/testdata/Wire.java")
	made := compile(t, "java", func(made string) {
		run(t, made, "javac", append(params, "-d", "worker", worker)...)
		run(t, made, "javac", "-cp", "worker", "-d", "function", function)
	})
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(made, "function"))); err != nil {
		t.Fatal(err)
	}
	return []string{"java", "-Xmx64m", "-XX:+ExitOnOutOfMemoryError", "-cp", filepath.Join(made, "worker"), "Worker"}
}

// worker is one that runs.
type worker struct {
	language
	socket  string
	log     string // the file of its stdout and stderr
	process *os.Process
	ended   chan struct{} // closed at its end
	stopped bool          // as the test wants
}

// each runs a test on a worker of every language.
func each(t *testing.T, test func(t *testing.T, w *worker)) {
	eachThat(t, func(language) bool { return true }, test)
}

// eachThat runs a test on a worker of some languages.
func eachThat(t *testing.T, is func(language) bool, test func(t *testing.T, w *worker)) {
	for _, l := range languages() {
		if !is(l) {
			continue
		}
		t.Run(l.name, func(t *testing.T) { test(t, start(t, l)) })
	}
}

func start(t *testing.T, l language, env ...string) *worker {
	t.Helper()
	for _, program := range l.needs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("RTBUILD_WORKERS") == "all" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	folder := t.TempDir()
	command := l.prepare(t, folder)
	w := &worker{language: l, socket: filepath.Join(folder, "1.sock"), log: filepath.Join(t.TempDir(), "log"), ended: make(chan struct{})}
	module, handler := "wire", "handler"
	if l.name == "java" {
		module = "Wire"
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "KUBELESS_INSTALL_VOLUME="+folder, "MOD_NAME="+module, "FUNC_HANDLER="+handler,
		"FUNC_SOCKET="+w.socket, "FUNC_TIMEOUT=180", "FUNC_RUNTIME=test")
	cmd.Env = append(cmd.Env, env...)
	log, err := os.Create(w.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.process = cmd.Process
	go func() { _ = cmd.Wait(); close(w.ended) }()
	t.Cleanup(func() {
		select {
		case <-w.ended:
			if !w.stopped {
				t.Error("the worker has ended")
			}
		default:
		}
		w.stop(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the worker's log:\n%s", w.logged(t))
		}
	})
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", w.socket); err == nil {
			conn.Close()
			return w
		}
		select {
		case <-w.ended:
			t.Fatalf("the worker does not start:\n%s", w.logged(t))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the worker does not listen:\n%s", w.logged(t))
		}
	}
}

// stop ends the worker by a signal, and waits for its end.
func (w *worker) stop(signal syscall.Signal) {
	w.stopped = true
	_ = w.process.Signal(signal) // it may have ended
	<-w.ended
}

// logged is what the worker has written so far.
func (w *worker) logged(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dial connects to the worker.
func (w *worker) dial(t *testing.T) *net.UnixConn {
	t.Helper()
	conn, err := net.Dial("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.UnixConn)
}

// send writes bytes and reads to the end of the connection, which the worker
// must close: an error if it does not.
func (w *worker) send(t *testing.T, data string, end bool) string {
	t.Helper()
	conn := w.dial(t)
	defer conn.Close()
	go func() {
		// The worker may close before it has read all of it.
		_, _ = io.WriteString(conn, data)
		if end {
			_ = conn.CloseWrite()
		}
	}()
	answer, err := io.ReadAll(conn)
	if err != nil && os.IsTimeout(err) {
		t.Fatalf("the connection stays open; so far it answered %.200q", answer)
	}
	return string(answer)
}

// absolute is the path of a file or folder of the tree. All of it is looked at,
// so that go test does not take a result from before it changed.
func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(path, func(file string, _ fs.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(content))
}

// write makes an executable file, which those of scripts must be.
func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, folder, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
