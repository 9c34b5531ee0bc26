package contract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
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
		decoder := yaml.NewDecoder(bytes.NewReader(source))
		decoder.KnownFields(true)
		if err := decoder.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
			return s, fmt.Errorf("%s: %w", path, err)
		}
	}
	if s.Handler == "" {
		s.Handler = "handler"
	}
	if strings.ContainsAny(s.Handler, ". \t/") {
		return s, fmt.Errorf("%s: handler %q is no function's name", path, s.Handler)
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
