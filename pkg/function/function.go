package function

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// What a function has unless it says otherwise.
const (
	DefaultNamespace = "default"
	DefaultTimeout   = 180 // seconds
	DefaultPort      = 8080
)

// LabelPrefix begins the labels that are rtbuild's own.
const LabelPrefix = "dev.rtbuild."

// A Function is what its author deploys.
type Function struct {
	Name, Namespace string
	Runtime         Runtime
	// Handler is "module.function".
	Handler string
	Source  Source
	// Dependencies is the content of the dependency file. Empty installs
	// nothing, unless the source brings a file of that name.
	Dependencies []byte
	// Env is the function's own environment, which all phases but the
	// preparation get before theirs. As in Kubernetes, a value may refer to a
	// variable before it as $(NAME).
	Env []Variable
	// Timeout is the time of a call in seconds.
	Timeout int
	// Port is where the function serves.
	Port int
	// Memory and CPU are limits as Kubernetes writes them ("128Mi", "500m");
	// empty is none.
	Memory, CPU string
	// Secrets are mounted at /NAME.
	Secrets []Secret
	// Labels are kept with what the function is made into.
	Labels map[string]string
	// Image is one that holds the prepared function, as containers.Package makes it: where
	// it runs nothing is prepared then. Empty is the runtime's own.
	Image string
	// ReadyPath is where the server says whether it is ready, where that cannot be
	// found out by asking; empty is /readyz.
	ReadyPath string
}

// A Variable of a container's environment.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Secret is files for the function's eyes alone.
type Secret struct {
	// Name is the secret's, and with a slash before it where it is mounted.
	Name string
	// Files are its keys; nil where the target has a secret of this name.
	Files []File
}

var (
	variableName = regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]*$`)
	label        = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	labelKey     = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?$`)
	labelValue   = regexp.MustCompile(`^([a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?)?$`)
)

// consistsOf tells whether a name, one that is not empty, has letters and digits of
// any script and these others alone.
func consistsOf(name, others string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune(others, r)
	})
}

// longestLabel is not in the expressions: counting there takes much longer
// to compile, at every start of the program.
const longestLabel = 63

// isLabel tells whether Kubernetes takes a name for one of an object: RFC 1035.
func isLabel(name string) bool { return len(name) <= longestLabel && label.MatchString(name) }

// isLabelPair tells whether Kubernetes takes a key and a value for those of a label.
func isLabelPair(key, value string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	return len(name) <= longestLabel && len(value) <= longestLabel && labelKey.MatchString(key) && labelValue.MatchString(value)
}

// CheckName is an error unless the name is one that every target takes for a
// function's.
func CheckName(name string) error {
	if !isLabel(name) {
		return fmt.Errorf("function name %q: want lower-case letters, digits and -, a letter first, at most 63 (as in get-python)", name)
	}
	return nil
}

// splitHandler splits "module.function".
func splitHandler(handler string) (module, function string, err error) {
	module, function, ok := strings.Cut(handler, ".")
	if !ok || !consistsOf(module, "_-") || !consistsOf(function, "_$-") {
		return "", "", fmt.Errorf("handler %q: want MODULE.FUNCTION, the source file's name without its extension and the function in it (as in hello.handler)", handler)
	}
	return module, function, nil
}

// Check is all that is wrong with the function, whatever its target.
func (f *Function) Check() error {
	errs := []error{CheckName(f.Name)}
	if !isLabel(f.Namespace) {
		errs = append(errs, fmt.Errorf("namespace %q: want lower-case letters, digits and -", f.Namespace))
	}
	if f.Runtime.Phase(manifest.RuntimePhase) == nil {
		errs = append(errs, fmt.Errorf("runtime %s has no image for the runtime phase", f.Runtime.Name()))
	}
	if f.Timeout < 1 {
		errs = append(errs, fmt.Errorf("timeout %d: want seconds, 1 or more", f.Timeout))
	}
	if f.Port < 1 || f.Port > 65535 {
		errs = append(errs, fmt.Errorf("port %d: want 1 to 65535", f.Port))
	} else if f.Port < 1024 {
		errs = append(errs, fmt.Errorf("port %d: the function runs as user %d, who cannot listen below 1024", f.Port, User))
	}
	if _, err := ParseMemory(f.Memory); err != nil {
		errs = append(errs, err)
	}
	if _, err := ParseCPU(f.CPU); err != nil {
		errs = append(errs, err)
	}
	for _, v := range f.Env {
		if !variableName.MatchString(v.Name) {
			errs = append(errs, fmt.Errorf("variable %q: no name for one: want letters, digits, -, _ and ., no digit first", v.Name))
		}
	}
	for key, value := range f.Labels {
		if !isLabelPair(key, value) {
			errs = append(errs, fmt.Errorf("label %s=%s: want letters, digits, -, _ and ., at most 63 of each", key, value))
		}
		if strings.HasPrefix(key, LabelPrefix) {
			errs = append(errs, fmt.Errorf("label %s: those that begin with %s are rtbuild's own", key, LabelPrefix))
		}
	}
	return errors.Join(append(errs, f.checkSecrets(), f.checkSource())...)
}

func (f *Function) checkSecrets() error {
	var errs []error
	for _, s := range f.Secrets {
		if !isLabel(s.Name) {
			errs = append(errs, fmt.Errorf("secret %q: want lower-case letters, digits and -", s.Name))
		}
		if slices.Contains([]string{"kubeless", "tmp", "proc", "sys", "dev", "etc", "usr", "bin", "lib", "front"}, s.Name) {
			errs = append(errs, fmt.Errorf("secret %q: it would be mounted at /%s, which is the container's own", s.Name, s.Name))
		}
	}
	return errors.Join(errs...)
}

// checkSource makes sure that handler, files and dependencies fit together.
func (f *Function) checkSource() error {
	module, _, err := splitHandler(f.Handler)
	if err != nil {
		return err
	}
	if len(f.Dependencies) > 0 && f.Runtime.DepName == "" {
		return fmt.Errorf("runtime %s takes no dependency file", f.Runtime.Name())
	}
	if !f.Source.Bundle {
		if len(f.Source.Files) != 1 {
			return errors.New("the function has no source file")
		}
		return nil
	}
	// A compiled function's file may have any name; an interpreted one is
	// loaded by it.
	want := module + f.Runtime.FileNameSuffix
	if f.Runtime.Phase(manifest.Compilation) == nil && !f.Source.Has(want) {
		return fmt.Errorf("%s has no %s, which handler %s is looked for in", f.Source.Origin, want, f.Handler)
	}
	return nil
}
