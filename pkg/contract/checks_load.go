package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/function/containers"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

func checkLoad(_ context.Context, t *trial) (string, error) {
	d, err := t.contract()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("phases before the runtime %.1f s", d.Took.Seconds()), nil
}

func checkHealthReady(_ context.Context, t *trial) (string, error) {
	if t.server.firstErr != nil {
		return "", fmt.Errorf("%s was 200, then %w", t.server.probe.Path(), t.server.firstErr)
	}
	if t.server.first.status != http.StatusOK {
		return "", fmt.Errorf("%s was 200, then %w", t.server.probe.Path(), t.server.first.unlike("200"))
	}
	return "", nil
}

func checkStartTime(_ context.Context, t *trial) (string, error) {
	took := fmt.Sprintf("%.2f s from the start of the container to the first 200", t.server.ready.Seconds())
	if t.server.ready > time.Minute {
		return "", errors.New(took)
	}
	return took, nil
}

// slowstart takes about three seconds to load. A 200 after less than this is
// one before it was loaded.
const loadingTakes = 2 * time.Second

func checkHealthLoading(ctx context.Context, t *trial) (string, error) {
	s, err := t.startNamed(ctx, "slowstart")
	if err != nil {
		return "", err
	}
	refusals, reason := 0, ""
	err = s.await(ctx, "200", func(status int, text string) (bool, error) {
		if status == http.StatusServiceUnavailable {
			refusals++
			reason = strings.TrimSpace(text)
		}
		return status == http.StatusOK, nil
	})
	took := time.Since(s.began)
	switch {
	case err != nil:
		return "", err
	case took < loadingTakes:
		return "", fmt.Errorf("%s was 200 after %.1f s, and the function takes three to load", s.probe.Path(), took.Seconds())
	case refusals == 0:
		return "", fmt.Errorf("want %s 503 while the function loads, got no answer until it was 200", s.probe.Path())
	case reason == "":
		return "", fmt.Errorf("%s is 503 while the function loads, without a reason", s.probe.Path())
	}
	_, err = s.expect(ctx, request{}, http.StatusOK, "started")
	return "while loading: " + quote(reason), err
}

func checkLoadError(ctx context.Context, t *trial) (string, error) {
	s, err := t.startNamed(ctx, "fails")
	if err != nil {
		return "", err
	}
	const message = "contract: cannot load"
	err = s.awaitFailure(ctx, strconv.Quote(message), func(text string) bool { return strings.Contains(text, message) })
	return "", err
}

// awaitFailure wants the cause of a function that cannot load in the log, and
// the probe 503: what the function printed is not for everybody who can ask.
func (s *server) awaitFailure(ctx context.Context, what string, shows func(string) bool) error {
	err := s.await(ctx, "503", func(status int, _ string) (bool, error) {
		if status == http.StatusOK {
			return false, fmt.Errorf("want %s 503, got 200", s.probe.Path())
		}
		return status == http.StatusServiceUnavailable, nil
	})
	if err != nil {
		return err
	}
	return s.awaitLog(ctx, func(output containers.Output) error {
		if shows(output.Stdout) || shows(output.Stderr) {
			return nil
		}
		return fmt.Errorf("%s is 503, and the log does not have %s", s.probe.Path(), what)
	})
}

func checkSyntaxError(ctx context.Context, t *trial) (string, error) {
	f, err := t.subject.load(t.subject.Functions, "broken", false)
	if err != nil {
		return "", err
	}
	want := newErrorPosition(f)
	s, err := t.start(ctx, f)
	if t.subject.runtime().Phase(manifest.Compilation) == nil {
		if err == nil {
			err = s.awaitFailure(ctx, want.String(), want.in)
		}
		return "", err
	}
	var failed *containers.PhaseError
	switch {
	case err == nil:
		return "", fmt.Errorf("%s was compiled, and it has a syntax error", f.file)
	case !errors.As(err, &failed) || failed.Phase != manifest.Compilation:
		return "", err
	case !want.in(failed.Outcome.Stderr):
		return "", fmt.Errorf("want %s on stderr: %w", want, failed)
	case !want.in(failed.Outcome.TerminationLog):
		return "", fmt.Errorf("stderr has %s, the termination log has %s: %w", want, quote(failed.Outcome.TerminationLog), failed)
	}
	return "", nil
}

// An errorPosition is that of the syntax error in a user's file.
type errorPosition struct {
	file string
	// from and to are the lines in which a parser may notice it.
	from, to int
	pattern  *regexp.Regexp
}

// newErrorPosition finds the comment that announces the error: it is on the line
// before. Parsers may notice it later, at the latest after the file's end.
func newErrorPosition(f source) errorPosition {
	lines := strings.Split(string(f.content), "\n")
	p := errorPosition{file: filepath.Base(f.file), from: 1, to: len(lines) + 1}
	announced := regexp.MustCompile(`(?i)syntax error|does not compile|not parse`)
	for i, line := range lines {
		if announced.MatchString(line) {
			p.from = i + 2
			break
		}
	}
	p.pattern = regexp.MustCompile(regexp.QuoteMeta(p.file) + `\D{1,20}(\d+)`)
	return p
}

func (p errorPosition) String() string {
	return fmt.Sprintf("%s and the error's line (%d or later)", p.file, p.from)
}

// in tells whether a text names the file with such a line after it.
func (p errorPosition) in(text string) bool {
	for _, match := range p.pattern.FindAllStringSubmatch(text, -1) {
		if line, err := strconv.Atoi(match[1]); err == nil && line >= p.from && line <= p.to {
			return true
		}
	}
	return false
}

func withoutExamples(s Subject) string {
	if s.Examples == "" {
		return "it comes without examples"
	}
	return ""
}

func withoutDependencies(s Subject) string {
	if s.DepName == "" && s.Examples != "" {
		return "the runtime takes no dependency file"
	}
	return withoutExamples(s)
}

func checkExampleGet(ctx context.Context, t *trial) (string, error) {
	return t.example(ctx, "helloget", false, request{}, func(a answer) error {
		if strings.TrimSpace(a.body) != "hello world" {
			return a.unlike("200 hello world")
		}
		return nil
	})
}

func checkExamplePost(ctx context.Context, t *trial) (string, error) {
	data := map[string]any{"it-s": "alive"}
	return t.example(ctx, "hellowithdata", false, request{kind: asJSON, body: encode(data)}, func(a answer) error {
		if !a.holds(data) {
			return a.unlike("200 %s", encode(data))
		}
		return nil
	})
}

func checkExampleDeps(ctx context.Context, t *trial) (string, error) {
	return t.example(ctx, "hellowithdeps", true, request{}, func(a answer) error {
		if !strings.Contains(a.body, "hello world") {
			return a.unlike("200 and hello world in it")
		}
		return nil
	})
}

func (t *trial) example(ctx context.Context, name string, deps bool, r request, verify func(answer) error) (string, error) {
	f, err := t.subject.load(t.subject.Examples, name, deps)
	if err != nil {
		return "", err
	}
	s, err := t.start(ctx, f)
	if err != nil {
		return "", err
	}
	if err := s.settle(ctx); err != nil {
		return "", err
	}
	a, err := s.call(ctx, r)
	if err != nil {
		return "", err
	}
	if a.status != http.StatusOK {
		return "", a.unlike("200")
	}
	return "", verify(a)
}
