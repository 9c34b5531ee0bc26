package function

import (
	"maps"
	"slices"
	"strings"
)

// environment is a container's environment as the controller writes it and
// the kubelet reads it: a value may refer to variables before it as $(NAME),
// and a name that comes again gets the new value.
type environment struct{ variables []Variable }

func (e *environment) set(name, value string) {
	e.setLiteral(name, expand(value, e.lookUp))
}

// setLiteral sets a value that holds no references.
func (e *environment) setLiteral(name, value string) {
	e.variables = slices.DeleteFunc(e.variables, func(v Variable) bool { return v.Name == name })
	e.variables = append(e.variables, Variable{Name: name, Value: value})
}

// setAll sets a manifest's env. The controller does so in random order, so
// that values cannot rely on one; here it is the alphabetical one.
func (e *environment) setAll(env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		e.set(name, env[name])
	}
}

func (e *environment) lookUp(name string) (string, bool) {
	for _, v := range e.variables {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

// expand replaces references as Kubernetes does in env and command: $(NAME) is
// the variable's value and stays where there is none, $$ is a dollar, and any
// other dollar stays.
func expand(text string, lookUp func(string) (string, bool)) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		text = rest
		if strings.HasPrefix(rest, "$") {
			out.WriteString("$")
			text = rest[1:]
			continue
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "("), ")")
		if strings.HasPrefix(rest, "(") && closed {
			if value, ok := lookUp(name); ok {
				out.WriteString(value)
				text = after
				continue
			}
		}
		out.WriteString("$")
	}
}
