package kube_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runtimesDocument is a tree's manifests, with images of another repository.
const runtimesDocument = `[{
  ID: 'x', depName: 'd', fileNameSuffix: '.x',
  versions: [{ name: 'x1', version: '1', images: [{ phase: 'runtime', image: 'acme/x@sha256:%DIGEST%' }] }],
}]
`

// A publisher is a tree whose ConfigMap is brought into a cluster.
type publisher struct {
	cluster *cluster
	root    string
}

func newPublisher(t *testing.T, c *cluster) *publisher {
	t.Helper()
	p := &publisher{cluster: c, root: t.TempDir()}
	bin := filepath.Join(p.cluster.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(c.binary, filepath.Join(bin, "kubectl")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	p.manifest(t, "1")
	return p
}

// manifest writes the tree's manifests; the digest of its image is of one digit.
func (p *publisher) manifest(t *testing.T, digit string) {
	t.Helper()
	p.write(t, "runtimes.jsonnet", strings.Replace(runtimesDocument, "%DIGEST%", strings.Repeat(digit, 64), 1))
}

func (p *publisher) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.root, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// publication is what rtbuild says that it changed.
type publication struct {
	Applied, Restarted bool
	Changes            []struct{ Kind, Runtime, Version, Phase, Key, Old, New string }
}

// kinds are the changes, one word each and what they are of.
func (p publication) kinds() []string {
	kinds := []string{}
	for _, c := range p.Changes {
		what := c.Key
		if c.Runtime != "" {
			what = strings.TrimSpace(c.Runtime + " " + c.Version + " " + c.Phase)
		}
		kinds = append(kinds, c.Kind+" "+what)
	}
	return kinds
}

// run runs rtbuild configmap with flags; failure is its stderr.
func (p *publisher) run(t *testing.T, flags ...string) (result publication, failure string) {
	t.Helper()
	binary := absolute(t, environment(t, "RTBUILD_BIN", "an rtbuild binary"))
	cmd := exec.Command(binary, append([]string{"-C", p.root, "configmap", "--output", "json"}, flags...)...)
	cmd.Env = []string{"HOME=" + p.cluster.dir, "KUBECONFIG=" + filepath.Join(p.cluster.dir, "kubeconfig"), "PATH=" + filepath.Join(p.cluster.dir, "bin")}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return publication{}, stderr.String()
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("rtbuild configmap %v printed %s: %v", flags, out, err)
	}
	return result, ""
}

func (p *publisher) mustRun(t *testing.T, flags ...string) publication {
	t.Helper()
	result, failure := p.run(t, flags...)
	if failure != "" {
		t.Fatalf("rtbuild configmap %v: %s", flags, failure)
	}
	return result
}

func (p *publisher) wantData(t *testing.T, want map[string]string, gone ...string) {
	t.Helper()
	data := p.live(t)
	for key, value := range want {
		if data[key] != value {
			t.Errorf("the key %s is %q, want %q", key, data[key], value)
		}
	}
	for _, key := range gone {
		if _, there := data[key]; there {
			t.Errorf("the key %s is still there", key)
		}
	}
}

// TestPublish takes a ConfigMap from a new cluster on through its changes.
func TestPublish(t *testing.T) {
	c := startCluster(t)
	p := newPublisher(t, c)

	if _, failure := p.run(t, "--apply"); !strings.Contains(failure, "namespace") || !strings.Contains(failure, "--namespace-object") {
		t.Errorf("without the namespace: %s", failure)
	}
	if got := p.mustRun(t, "--diff"); !slices.Contains(got.kinds(), "added x 1") || got.Applied {
		t.Errorf("--diff with nothing there: %+v", got)
	}
	p.mustRun(t, "--apply", "--namespace-object")
	p.wantData(t, map[string]string{"service-type": "ClusterIP"})
	for _, flag := range []string{"--diff", "--apply"} {
		if got := p.mustRun(t, flag); len(got.Changes) != 0 {
			t.Errorf("%s of what is there: %v", flag, got.kinds())
		}
	}

	p.manifest(t, "2")
	p.mustRun(t, "--apply", "--only", "runtime-images")
	p.wantData(t, map[string]string{"service-type": "ClusterIP"})
	p.manifest(t, "3")
	p.write(t, "rtbuild.yaml", "configMap: {data: {service-type: NodePort, mine: a}}\n")
	want := []string{"repinned x 1 runtime", "added mine", "changed service-type"}
	for _, flag := range []string{"--diff", "--apply"} {
		if got := p.mustRun(t, flag); !slices.Equal(got.kinds(), want) {
			t.Errorf("%s: %q, want %q", flag, got.kinds(), want)
		}
	}
	p.wantData(t, map[string]string{"service-type": "NodePort", "mine": "a"})

	// A key that is ours goes when the tree has it no more; others' stay.
	c.mustKubectl(t, nil, "patch", "configmap", "kubeless-config", "--namespace", "kubeless", "--type", "merge", "--patch", `{"data": {"functions-namespace": "f"}}`)
	p.write(t, "rtbuild.yaml", "")
	if got, want := p.mustRun(t, "--apply").kinds(), []string{"changed service-type", "removed mine"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	p.wantData(t, map[string]string{"functions-namespace": "f"}, "mine")
}

// TestPublishKeepsKeys applies over ConfigMaps that others made, also our own
// runtimes alone.
func TestPublishKeepsKeys(t *testing.T) {
	c := startCluster(t)
	p := newPublisher(t, c)
	p.write(t, "rtbuild.yaml", "configMap: {data: {mine: a}}\n")
	full := []byte(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubeless-config", "namespace": "kubeless"},
		"data": {"runtime-images": "[]", "service-type": "NodePort", "functions-namespace": "f"}}`)
	c.mustKubectl(t, nil, "create", "namespace", "kubeless")
	for name, made := range map[string][]string{
		"create":              {"create", "--filename", "-"},
		"apply":               {"apply", "--filename", "-"},
		"apply --server-side": {"apply", "--server-side", "--filename", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			c.mustKubectl(t, full, made...)
			if got := p.mustRun(t, "--apply", "--only", "runtime-images").kinds(); !slices.Equal(got, []string{"added x 1"}) {
				t.Errorf("changes %q", got)
			}
			p.wantData(t, map[string]string{"service-type": "NodePort", "functions-namespace": "f"})
			for range 2 { // kubectl's own note changes with the first
				p.mustRun(t, "--apply")
			}
			p.wantData(t, map[string]string{"service-type": "ClusterIP", "functions-namespace": "f", "mine": "a"})
			c.mustKubectl(t, nil, "delete", "configmap", "kubeless-config", "--namespace", "kubeless")
		})
	}
}

// TestPublishRefused shows that what the server refuses changes nothing, and
// restarts nothing.
func TestPublishRefused(t *testing.T) {
	c := startCluster(t)
	p := newPublisher(t, c)
	p.mustRun(t, "--apply", "--namespace-object")
	c.mustKubectl(t, []byte(`{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kubeless-controller-manager", "namespace": "kubeless"},
		"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}`),
		"create", "--filename", "-")
	restarted := func() bool {
		return strings.Contains(string(c.mustKubectl(t, nil, "get", "deployment", "kubeless-controller-manager", "--namespace", "kubeless", "--output", "json")), "restartedAt")
	}

	if got := p.mustRun(t, "--apply", "--restart-controller"); got.Restarted || restarted() {
		t.Errorf("nothing changed, and the controller restarts: %+v", got)
	}
	c.mustKubectl(t, nil, "patch", "configmap", "kubeless-config", "--namespace", "kubeless", "--type", "merge", "--patch", `{"immutable": true}`)
	before := maps.Clone(p.live(t))
	p.manifest(t, "2")
	if _, failure := p.run(t, "--apply", "--restart-controller"); !strings.Contains(failure, "immutable") || restarted() {
		t.Errorf("an immutable ConfigMap: restarted %v, %s", restarted(), failure)
	}
	if got := p.live(t); !maps.Equal(got, before) {
		t.Errorf("the data changed: %q", got)
	}
	c.mustKubectl(t, nil, "delete", "configmap", "kubeless-config", "--namespace", "kubeless")
	if got := p.mustRun(t, "--apply", "--restart-controller"); !got.Restarted || !restarted() {
		t.Errorf("the controller does not restart: %+v", got)
	}
	p.manifest(t, "3")
	if _, failure := p.run(t, "--apply", "--restart-controller=other"); !strings.Contains(failure, "the ConfigMap is applied, but the controller other was not restarted") {
		t.Errorf("a controller that is not there: %s", failure)
	}
}

func (p *publisher) live(t *testing.T) map[string]string {
	t.Helper()
	return decodeConfigMap(t, p.cluster.mustKubectl(t, nil, "get", "configmap", "kubeless-config", "--namespace", "kubeless", "--output", "json")).Data
}
