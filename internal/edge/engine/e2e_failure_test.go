//go:build e2e && linux

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
	"github.com/rtbuild/rtbuild/pkg/build"
)

func testFailingStep(t *testing.T, b bench) {
	req := b.request(t, "failing", map[string]string{
		"Dockerfile": "FROM scratch\nCOPY tool /tool\nENV N=" + fresh() + "\nRUN [\"/tool\", \"fail\", \"30\"]\n",
	})
	_, err := b.builder.Build(t.Context(), req)
	var step *build.StepError
	if !errors.As(err, &step) {
		t.Fatalf("Build = %T %v, want a StepError", err, err)
	}
	t.Log(err)
	if step.Name != "failing" || !strings.Contains(step.Step, "RUN [\"/tool\", \"fail\", \"30\"]") && !strings.Contains(step.Step, "RUN /tool fail 30") {
		t.Errorf("name = %q, step = %q", step.Name, step.Step)
	}
	var want []string
	for i := 12; i <= 30; i++ {
		want = append(want, fmt.Sprintf("line %d", i))
	}
	want = append(want, "failed as told")
	if !reflect.DeepEqual(step.Log, want) {
		t.Errorf("log = %q, want %q", step.Log, want)
	}
	if !strings.Contains(err.Error(), "exit code: 1") {
		t.Errorf("error %q does not tell the exit code", err)
	}
}

// Engines run a step that several builds have in common only once. When it
// fails, each of the builds blames the step, with its log.
func testCommonFailingStep(t *testing.T, b bench) {
	const count = 4
	text := fresh()
	errs := make([]error, count)
	var group sync.WaitGroup
	for i := range count {
		req := b.request(t, fmt.Sprintf("common-failing-%d", i), map[string]string{
			"Dockerfile": fmt.Sprintf("FROM scratch\nCOPY tool /tool\nENV N=%s\nRUN [\"/tool\", \"sleep\", \"1\"]\nRUN [\"/tool\", \"fail\", \"1\"]\nLABEL i=%d\n", text, i),
		})
		group.Go(func() { _, errs[i] = b.builder.Build(t.Context(), req) })
	}
	group.Wait()
	for i, err := range errs {
		var step *build.StepError
		if !errors.As(err, &step) {
			t.Errorf("build %d: %T %v, want a StepError", i, err, err)
			continue
		}
		if !strings.Contains(step.Step, "fail") || len(step.Log) != 2 {
			t.Errorf("build %d: step = %q, log = %q", i, step.Step, step.Log)
		}
	}
}

func testDockerfileFaults(t *testing.T, b bench) {
	tests := []struct{ name, dockerfile, stage, want string }{
		{"no such instruction", "FROM scratch\nGRUN x\n", "", "GRUN"},
		{"no such file", "FROM scratch\nCOPY tool absent-" + fresh() + " /x/\n", "", "absent-"},
		{"no such stage", "FROM scratch\nCOPY tool /tool\n", "ghost", "ghost"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := b.request(t, "fault", map[string]string{"Dockerfile": test.dockerfile})
			req.Stage = test.stage
			_, err := b.builder.Build(t.Context(), req)
			var step *build.StepError
			if !errors.As(err, &step) {
				t.Fatalf("Build = %T %v, want a StepError", err, err)
			}
			t.Log(err)
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not name %q", err, test.want)
			}
		})
	}
}

func testEngineFaults(t *testing.T, b bench) {
	nowhere := deadAddress(t)
	tests := []struct {
		name, dockerfile, reference, want string
	}{
		{"base image unreachable", "FROM " + nowhere + "/base:1\nCOPY tool /tool\n", "", nowhere},
		{"push refused", "FROM scratch\nCOPY tool /tool\n", nowhere + "/test/x:1", nowhere},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := b.request(t, "fault", map[string]string{"Dockerfile": test.dockerfile})
			if test.reference != "" {
				req.References, req.Push = []string{test.reference}, true
			}
			_, err := b.builder.Build(t.Context(), req)
			var step *build.StepError
			if err == nil || errors.As(err, &step) {
				t.Fatalf("Build = %T %v, want an error that is no StepError", err, err)
			}
			t.Log(err)
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not name %q", err, test.want)
			}
		})
	}
}

// Cancelling stops the step's process, which would run for longer than the test
// may, and the error says what happened.
func testCancel(t *testing.T, b bench) {
	mark := fresh()
	req := b.request(t, "cancelled", map[string]string{
		"Dockerfile": "FROM scratch\nCOPY tool /tool\nRUN [\"/tool\", \"sleep\", \"7200\", \"" + mark + "\"]\n",
	})
	req.Push = true
	ctx, cancel := cancellable(t)
	ended := make(chan error, 1)
	go func() {
		_, err := b.builder.Build(ctx, req)
		ended <- err
	}()
	await(t, "the step to run", func() bool { return running(t, mark) })
	cancel()
	err := <-ended
	var step *build.StepError
	if !errors.Is(err, context.Canceled) || errors.As(err, &step) {
		t.Errorf("Build = %T %v, want context.Canceled and no StepError", err, err)
	}
	await(t, "the step's process to end", func() bool { return !running(t, mark) })
	// The engine is as good as before.
	b.mustBuild(t, b.request(t, "after-cancel", map[string]string{"Dockerfile": "FROM scratch\nCOPY tool /tool\n"}))
}

// Logins come from docker's configuration. A registry's refusal is nobody's
// Dockerfile's fault.
func testLogin(t *testing.T, b bench) {
	const users = "user:$2a$04$FDDqac7qfpB8h2qNUnB/SOFbib.UiJwOp9wx/5amj9jKsOsMK1i2i\n" // the password is "secret"
	b.registry = harness.Registry(t, harness.RegistryConfig{Users: users})
	t.Cleanup(func() { b.sweep(t, b.registry+"/test/") })
	req := b.request(t, "login", map[string]string{"Dockerfile": "FROM scratch\nCOPY tool /tool\n"})
	req.Push = true
	push := func(config string) (build.Result, error) {
		t.Setenv("DOCKER_CONFIG", t.TempDir())
		if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		return openBuilder(t, b.choice).Build(t.Context(), req)
	}
	_, err := push("{}")
	var step *build.StepError
	if err == nil || errors.As(err, &step) {
		t.Errorf("without a login: Build = %T %v, want an error that is no StepError", err, err)
	}
	t.Log(err)
	result, err := push(fmt.Sprintf(`{"auths":{%q:{"auth":"dXNlcjpzZWNyZXQ="}}}`, b.registry))
	if err != nil || result.Digest == "" {
		t.Errorf("with a login: Build = %+v, %v", result, err)
	}
}
