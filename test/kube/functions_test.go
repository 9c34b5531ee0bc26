package kube_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A deployer runs rtbuild function on the tree of the environment, with a cluster
// or without one.
type deployer struct {
	cluster *cluster
	dir     string
}

func newDeployer(t *testing.T, c *cluster) *deployer {
	t.Helper()
	d := &deployer{cluster: c, dir: t.TempDir()}
	if err := os.Symlink(c.binary, filepath.Join(d.dir, "kubectl")); err != nil {
		t.Fatal(err)
	}
	d.write(t, "hello.py", "def handler(event, context):\n    return 'hello'\n")
	return d
}

func (d *deployer) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs rtbuild function, whose kubectl has no configuration but what flags
// name, and returns its stdout; failure is its stderr.
func (d *deployer) run(t *testing.T, args ...string) (printed, failure string) {
	t.Helper()
	root := absolute(t, environment(t, "RTBUILD_ROOT", "a folder with a runtimes.jsonnet"))
	cmd := exec.Command(absolute(t, environment(t, "RTBUILD_BIN", "an rtbuild binary")), append([]string{"-C", root, "function"}, args...)...)
	cmd.Env = []string{"HOME=" + d.dir, "PATH=" + d.dir}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), stderr.String() + err.Error()
	}
	return stdout.String(), ""
}

// hello are flags of a function's deployment.
func (d *deployer) hello(more ...string) []string {
	return append([]string{"hello", "--runtime", "python3.13", "--handler", "hello.handler", "--from-file", filepath.Join(d.dir, "hello.py")}, more...)
}

// TestFunctionErrors deploys where that cannot be: the error says what to do.
func TestFunctionErrors(t *testing.T) {
	c := startCluster(t)
	d := newDeployer(t, c)
	kubeconfig := filepath.Join(c.dir, "kubeconfig")
	content, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	nobody := d.write(t, "nobody", strings.Replace(string(content), "token:", "as: nobody\n    token:", 1))
	gone := d.write(t, "gone", regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(string(content), "127.0.0.1:1"))
	for name, test := range map[string]struct {
		flags []string
		want  []string
	}{
		"no configuration": {nil, []string{"no cluster answers", "kubectl config get-contexts"}},
		"nobody listens":   {[]string{"--kubeconfig", gone}, []string{"no cluster answers", "refused"}},
		"no file":          {[]string{"--kubeconfig", filepath.Join(d.dir, "missing")}, []string{"missing"}},
		"no such context":  {[]string{"--kubeconfig", kubeconfig, "--context", "other"}, []string{"other"}},
		"no right":         {[]string{"--kubeconfig", nobody}, []string{`User "nobody" cannot`, "ask for these rights"}},
		"no namespace":     {[]string{"--kubeconfig", kubeconfig, "--namespace", "missing"}, []string{"there is no such namespace", "kubectl create namespace missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, failure := d.run(t, append([]string{"deploy", "--target", "kubernetes"}, d.hello(test.flags...)...)...)
			for _, part := range append(test.want, "exit status 1") {
				if !strings.Contains(failure, part) {
					t.Errorf("want %q in the error\n%s", part, failure)
				}
			}
		})
	}
	if _, failure := d.run(t, "list", "--target", "kubernetes", "--kubeconfig", kubeconfig); failure != "" {
		t.Error(failure)
	}
	if _, failure := d.run(t, "list", "--kubeconfig", kubeconfig); !strings.Contains(failure, "add --target kubernetes") || !strings.Contains(failure, "exit status 2") {
		t.Errorf("a kubeconfig for Docker: %s", failure)
	}
}

// Knative's schemas of the API are those of its release, by the checksum of the
// module that holds them.
const (
	knativeModule = "knative.dev/serving@v0.44.0"
	knativeSum    = "h1:c6TXhoSAI6eXt0/1ET3C69jMWYA4ES9FskSan/fBaac="
)

// TestKnative applies what render prints for Knative, where the API server checks
// it by Knative's own schema.
func TestKnative(t *testing.T) {
	out, err := exec.Command("go", "mod", "download", "-json", knativeModule).Output()
	if err != nil {
		t.Fatalf("getting %s: %v\n%s", knativeModule, err, out)
	}
	var module struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &module); err != nil || module.Sum != knativeSum {
		t.Fatalf("%s has the checksum %s, %v; want %s", knativeModule, module.Sum, err, knativeSum)
	}
	c := startCluster(t)
	c.mustKubectl(t, nil, "apply", "--server-side", "--filename", filepath.Join(module.Dir, "config/core/300-resources/service.yaml"))
	c.mustKubectl(t, nil, "wait", "--for=condition=Established", "crd/services.serving.knative.dev", "--timeout=60s")
	d := newDeployer(t, c)
	rendered, failure := d.run(t, append([]string{"render", "--for", "knative"}, d.hello("--env", "A=b", "--memory", "128Mi", "--cpu", "500m", "--timeout", "20", "--port", "9000", "--label", "team=blue", "--secrets", "keys")...)...)
	if failure != "" {
		t.Fatal(failure)
	}
	apply := []string{"apply", "--server-side", "--validate=strict", "--filename=-"}
	c.mustKubectl(t, []byte(rendered), apply...)
	if port := c.mustKubectl(t, nil, "get", "ksvc", "hello", "--output=jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}"); string(port) != "9000" {
		t.Errorf("the service has port %s", port)
	}
	// The schema is one that refuses what it does not know.
	wrong := strings.Replace(rendered, "timeoutSeconds: 20", "timeoutSecond: 20", 1)
	if _, err := c.kubectl([]byte(wrong), apply...); err == nil || !strings.Contains(err.Error(), "timeoutSecond") {
		t.Errorf("a field that Knative does not have: %v", err)
	}
}

// gate makes a kubectl for another deployer of the same cluster that waits, before
// the first thing that it applies, until open is called; reached returns when it
// waits.
func (d *deployer) gate(t *testing.T) (other *deployer, reached, open func()) {
	t.Helper()
	other = newDeployer(t, d.cluster)
	waits, opened := filepath.Join(other.dir, "waits"), filepath.Join(other.dir, "opened")
	real := filepath.Join(d.dir, "kubectl")
	script := "#!/bin/sh\ncase \" $* \" in *' apply '*) : >" + waits + "; while [ ! -e " + opened + " ]; do /bin/sleep 0.05; done ;; esac\nexec " + real + " \"$@\"\n"
	if err := errors.Join(os.Remove(filepath.Join(other.dir, "kubectl")), os.WriteFile(filepath.Join(other.dir, "kubectl"), []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	reached = func() {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			if _, err := os.Stat(waits); err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("nothing is applied")
			}
		}
	}
	return other, reached, func() { other.write(t, "opened", "") }
}

// TestFunctionUpdatesAtOnce changes one setting of a function while another update
// of it has read what it is and not changed it yet: each change stays.
func TestFunctionUpdatesAtOnce(t *testing.T) {
	c := startCluster(t)
	d := newDeployer(t, c)
	flags := []string{"--target", "kubernetes", "--kubeconfig", filepath.Join(c.dir, "kubeconfig")}
	// There is no node that would run a Pod, and no controller that would say so.
	served := func() {
		status := `{"status": {"observedGeneration": 1000, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}}`
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			_, err := c.kubectl(nil, "patch", "deployment", "hello", "--subresource=status", "--patch="+status)
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Error(err)
				return
			}
		}
	}
	go served()
	if _, failure := d.run(t, append([]string{"deploy"}, d.hello(flags...)...)...); failure != "" {
		t.Fatal(failure)
	}
	other, reached, open := d.gate(t)
	ended := make(chan string, 1)
	go func() {
		_, failure := other.run(t, append([]string{"update", "hello", "--timeout", "7"}, flags...)...)
		ended <- failure
	}()
	reached()
	if _, failure := d.run(t, append([]string{"update", "hello", "--memory", "96Mi"}, flags...)...); failure != "" {
		t.Error(failure)
	}
	open()
	if failure := <-ended; failure != "" {
		t.Error(failure)
	}
	printed, failure := d.run(t, append([]string{"describe", "hello", "--out", "json"}, flags...)...)
	var status struct {
		Timeout int
		Memory  string
	}
	if err := json.Unmarshal([]byte(printed), &status); err != nil || failure != "" {
		t.Fatal(err, failure)
	}
	if status.Timeout != 7 || status.Memory != "96Mi" {
		t.Errorf("a change is lost: %+v", status)
	}
}
