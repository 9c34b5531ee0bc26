package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/strictyaml"
)

// settingsFile may lie beside the contract functions.
const settingsFile = "contract.yaml"

// settings are what contract.yaml says.
type settings struct {
	// Handler is the function's name in all files.
	Handler string `yaml:"handler"`
	// Skip gives, for checks that this language cannot pass, the reason.
	Skip map[string]string `yaml:"skip"`
}

// readSettings reads contract.yaml of a folder. No file is no error; unknown
// keys, unknown checks and skips without a reason are.
func readSettings(folder string) (settings, error) {
	path := filepath.Join(folder, settingsFile)
	s := settings{}
	source, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s, fmt.Errorf("reading the suite's settings: %w", err)
	default:
		if err := strictyaml.Decode(path, source, &s, "docs/CONTRACT.md"); err != nil {
			return s, err
		}
	}
	if s.Handler == "" {
		s.Handler = "handler"
	}
	if strings.ContainsAny(s.Handler, ". \t/") {
		return s, fmt.Errorf("%s: handler %q is not a function's name", path, s.Handler)
	}
	for name, reason := range s.Skip {
		if strings.TrimSpace(reason) == "" {
			return s, fmt.Errorf("%s: skip: %s: the reason is missing", path, name)
		}
		if err := CheckNames([]string{name}); err != nil {
			return s, fmt.Errorf("%s: skip: %w", path, err)
		}
	}
	return s, nil
}
