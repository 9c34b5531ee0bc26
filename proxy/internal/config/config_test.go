package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// from reads settings; FUNC_PROCESS is set unless the test does.
func from(env map[string]string, limits Limits) (Config, error) {
	return FromEnv(func(name string) (string, bool) {
		if v, ok := env[name]; ok || name != "FUNC_PROCESS" {
			return v, ok
		}
		return "true", true
	}, limits)
}

func TestDefaultsAreClassic(t *testing.T) {
	c, err := from(nil, Limits{CPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if c.Network != "tcp" || c.Address != "127.0.0.1:8090" || c.HealthPath != "" || c.MaxSingle != 1 || c.Port != 8080 ||
		c.Timeout != 180*time.Second || c.QueueTimeout != c.Timeout || c.Shutdown != 10*time.Second || c.MaxBody != 100<<20 {
		t.Errorf("%+v", c)
	}
}

func TestNumberOfWorkers(t *testing.T) {
	for _, tt := range []struct {
		name               string
		env                map[string]string
		limits             Limits
		min, single, multi int
	}{
		{"no limits", nil, Limits{CPUs: 2}, 1, 32, 2},
		{"CPUs", nil, Limits{CPUs: 8}, 1, 64, 8},
		{"memory", nil, Limits{CPUs: 8, Memory: 256 << 20}, 1, 8, 2},
		{"little memory", nil, Limits{CPUs: 8, Memory: 1 << 20}, 1, 1, 1},
		{"declared memory", map[string]string{"FUNC_MEMORY_LIMIT": "512Mi"}, Limits{CPUs: 8}, 1, 16, 4},
		{"the smaller memory", map[string]string{"FUNC_MEMORY_LIMIT": "1Gi"}, Limits{CPUs: 8, Memory: 512 << 20}, 1, 16, 4},
		{"memory 0 is none", map[string]string{"FUNC_MEMORY_LIMIT": "0"}, Limits{CPUs: 2}, 1, 32, 2},
		{"set", map[string]string{"FUNC_MAX_WORKERS": "5", "FUNC_MIN_WORKERS": "3"}, Limits{CPUs: 2}, 3, 5, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]string{"FUNC_UPSTREAM": "unix"}
			for k, v := range tt.env {
				env[k] = v
			}
			c, err := from(env, tt.limits)
			if err != nil {
				t.Fatal(err)
			}
			if c.MinWorkers != tt.min || c.MaxSingle != tt.single || c.MaxConcurrent != tt.multi {
				t.Errorf("%d, %d, %d; want %d, %d, %d", c.MinWorkers, c.MaxSingle, c.MaxConcurrent, tt.min, tt.single, tt.multi)
			}
		})
	}
}

func TestWrongValuesAreNamed(t *testing.T) {
	for name, values := range map[string][]string{
		"FUNC_TIMEOUT":            {"soon", "0", "-1", "NaN", "Inf", "3m"},
		"FUNC_PORT":               {"http", "0", "65536"},
		"FUNC_LOOPS":              {"many", "-1", "257"},
		"FUNC_MAX_WORKERS":        {"-1", "1.5"},
		"FUNC_MAX_BODY":           {"big", "-1", "1Xi", "NaN", "1e30"},
		"FUNC_MAX_HEADER":         {"big", "0", "1000", "1Mi"},
		"FUNC_MEMORY_LIMIT":       {"much"},
		"FUNC_UPSTREAM":           {"8090", "localhost"},
		"FUNC_LOG_FORMAT":         {"xml"},
		"FUNC_DEBUG":              {"maybe"},
		"FUNC_PROCESS":            {"", "no-such-program x", "'open"},
		"FUNC_WORKER_CONCURRENCY": {"0"},
	} {
		for _, value := range values {
			if _, err := from(map[string]string{name: value}, Limits{CPUs: 1}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%q: error %v", name, value, err)
			}
		}
	}
}

func TestFractionsOfSeconds(t *testing.T) {
	c, err := from(map[string]string{"FUNC_TIMEOUT": " 0.25 "}, Limits{CPUs: 1})
	if err != nil || c.Timeout != 250*time.Millisecond {
		t.Errorf("%s, %v", c.Timeout, err)
	}
}

func TestParseQuantity(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "1": 1, "1k": 1000, "1Ki": 1024, "128Mi": 128 << 20, "1.5G": 1500000000,
		"1e3": 1000, "2E": 2e18, "1500m": 2, "1Ti": 1 << 40} {
		if got, err := ParseQuantity(s); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", s, got, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		line  string
		words []string // nil if a shell is needed
	}{
		{"node /server.js", []string{"node", "/server.js"}},
		{"  python3\t-u  'a b' ", []string{"python3", "-u", "a b"}},
		{`java "-Dx=a b" -jar x.jar ""`, []string{"java", "-Dx=a b", "-jar", "x.jar", ""}},
		{`a\ b "c\"d\e" 'f\'`, []string{"a b", `c"d\e`, `f\`}},
		{"a '$HOME;|&'", []string{"a", "$HOME;|&"}},
		{"a b#c", []string{"a", "b#c"}},
		{"a --x=1", []string{"a", "--x=1"}},
		{"X=1 a", nil}, {"a $HOME", nil}, {`a "$HOME"`, nil}, {"a | b", nil}, {"a && b", nil}, {"a > b", nil},
		{"a *.js", nil}, {"a `b`", nil}, {"a ~", nil}, {"a # b", nil}, {"a\nb", nil},
	} {
		words, plain, err := split(tt.line)
		if err != nil || plain != (tt.words != nil) || !reflect.DeepEqual(words, tt.words) {
			t.Errorf("%s: %q, %t, %v", tt.line, words, plain, err)
		}
	}
	for _, line := range []string{"'a", `"a`, `a\`} {
		if _, _, err := split(line); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
}

func TestCommandUsesAShellOnlyIfNeeded(t *testing.T) {
	if argv, err := Command("true x"); err != nil || len(argv) != 2 || !strings.HasPrefix(argv[0], "/") {
		t.Errorf("%q, %v", argv, err)
	}
	if argv, err := Command("true && false"); err != nil || !reflect.DeepEqual(argv, []string{"/bin/sh", "-c", "true && false"}) {
		t.Errorf("%q, %v", argv, err)
	}
}

func TestReadLimits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  Limits
	}{
		{"none", nil, Limits{4, 0}},
		{"version 2", map[string]string{"cpu.max": "150000 100000\n", "memory.max": "134217728\n"}, Limits{2, 128 << 20}},
		{"version 2, no limit", map[string]string{"cpu.max": "max 100000\n", "memory.max": "max\n"}, Limits{4, 0}},
		{"a tenth of a CPU", map[string]string{"cpu.max": "10000 100000\n"}, Limits{1, 0}},
		{"version 1", map[string]string{"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n",
			"memory/memory.limit_in_bytes": "1048576\n"}, Limits{3, 1 << 20}},
		{"version 1, no limit", map[string]string{"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n",
			"memory/memory.limit_in_bytes": "9223372036854771712\n"}, Limits{4, 0}},
	} {
		root := fstest.MapFS{}
		for name, text := range tt.files {
			root["sys/fs/cgroup/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := ReadLimits(root, 4); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// Every variable that is read has its row in README.md, and WORKERS.md names it.
func TestPagesNameSettings(t *testing.T) {
	read := map[string]bool{}
	for _, upstream := range []string{"unix", "127.0.0.1:8090"} {
		if _, err := FromEnv(func(name string) (string, bool) {
			read[name] = true
			value, ok := map[string]string{"FUNC_PROCESS": "true", "FUNC_UPSTREAM": upstream}[name]
			return value, ok
		}, Limits{CPUs: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if len(read) < 20 {
		t.Fatalf("%d variables are read", len(read))
	}
	settings, workers := page(t, "README.md"), page(t, "WORKERS.md")
	for name := range read {
		if !strings.Contains(settings, "\n| `"+name+"` |") && name != "KUBELESS_INSTALL_VOLUME" {
			t.Errorf("README.md has no row for %s", name)
		}
		if !strings.Contains(workers, "`"+name+"`") {
			t.Errorf("WORKERS.md does not name %s", name)
		}
	}
}

func page(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}
