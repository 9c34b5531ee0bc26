package config

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

const shell = "/bin/sh"

// Command turns FUNC_PROCESS into arguments, the first the executable's path.
// A line of plain words, quoted or not, is started without a shell, so that
// signals reach the server itself and images need no shell. A line that uses
// what only a shell gives (variables, pipes, redirections, lists, patterns,
// assignments) is run by /bin/sh -c.
func Command(line string) ([]string, error) {
	argv, plain, err := split(line)
	if err != nil {
		return nil, err
	}
	if !plain {
		if _, err := exec.LookPath(shell); err != nil {
			return nil, fmt.Errorf("%q needs a shell and the image has none: %w", line, err)
		}
		return []string{shell, "-c", line}, nil
	}
	if len(argv) == 0 {
		return nil, errors.New("is empty; set it to the command line of the function's server")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, fmt.Errorf("finding the server: %w", err)
	}
	argv[0] = path
	return argv, nil
}

// split cuts a line into words as a shell would. plain is false where only a
// shell can; the words mean nothing then.
func split(line string) (words []string, plain bool, err error) {
	var word strings.Builder
	started, quote, escaped := false, rune(0), false
	for _, c := range line {
		switch {
		case escaped:
			// Between double quotes, a backslash is kept before most characters.
			if quote == '"' && !strings.ContainsRune("\"\\$`", c) {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, started = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == '\'':
			word.WriteRune(c)
		case strings.ContainsRune("$`", c):
			return nil, false, nil
		case quote == '"':
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, started = c, true
		case c == ' ' || c == '\t':
			if started {
				words = append(words, word.String())
				word.Reset()
				started = false
			}
		case strings.ContainsRune("|&;<>()*?[\n", c),
			!started && strings.ContainsRune("#~", c),
			c == '=' && len(words) == 0:
			return nil, false, nil
		default:
			word.WriteRune(c)
			started = true
		}
	}
	if quote != 0 || escaped {
		return nil, false, fmt.Errorf("%q ends inside a quotation", line)
	}
	if started {
		words = append(words, word.String())
	}
	return words, true, nil
}
