//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// An expression is one of GitHub Actions, as far as the workflows here use them:
// https://docs.github.com/actions/reference/workflows-and-actions/expressions.
type expression struct {
	tokens []string
	// contexts are "github", "vars" and so on; status answers success() and the
	// like.
	contexts map[string]any
	status   func(function string) bool
	// asked: a status function is in it.
	asked bool
}

var expressionTokens = regexp.MustCompile(`\s*('(?:[^']|'')*'|&&|\|\||==|!=|[!()\[\],.]|[A-Za-z_][A-Za-z0-9_-]*|[0-9]+|\S)`)

// evaluate is the value of an expression: nil, a bool, string or float64, a
// map[string]any or a []any.
func evaluate(source string, contexts map[string]any, status func(string) bool) (value any, asked bool, err error) {
	e := &expression{contexts: contexts, status: status}
	for _, match := range expressionTokens.FindAllStringSubmatch(source, -1) {
		e.tokens = append(e.tokens, match[1])
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the expression %q: %v", source, cause)
		}
	}()
	value = e.or()
	if len(e.tokens) > 0 {
		return nil, false, fmt.Errorf("the expression %q is none that this test knows, from %q on", source, e.tokens[0])
	}
	return value, e.asked, nil
}

// take drops the next token if it is that one.
func (e *expression) take(token string) bool {
	if len(e.tokens) == 0 || e.tokens[0] != token {
		return false
	}
	e.tokens = e.tokens[1:]
	return true
}

func (e *expression) next() string {
	token := e.tokens[0]
	e.tokens = e.tokens[1:]
	return token
}

func (e *expression) or() any {
	value := e.and()
	for e.take("||") {
		if other := e.and(); !truth(value) {
			value = other
		}
	}
	return value
}

func (e *expression) and() any {
	value := e.equal()
	for e.take("&&") {
		if other := e.equal(); truth(value) {
			value = other
		}
	}
	return value
}

func (e *expression) equal() any {
	value := e.unary()
	for {
		switch {
		case e.take("=="):
			value = value == e.unary()
		case e.take("!="):
			value = value != e.unary()
		default:
			return value
		}
	}
}

func (e *expression) unary() any {
	if e.take("!") {
		return !truth(e.unary())
	}
	value := e.primary()
	for {
		switch {
		case e.take("."):
			object, _ := value.(map[string]any)
			value = object[e.next()]
		case e.take("["):
			list, _ := value.([]any)
			i, err := strconv.Atoi(e.next())
			if value = nil; err == nil && i < len(list) {
				value = list[i]
			}
			e.take("]")
		default:
			return value
		}
	}
}

func (e *expression) primary() any {
	token := e.next()
	switch {
	case token == "(":
		value := e.or()
		e.take(")")
		return value
	case token[0] == '\'':
		return strings.ReplaceAll(token[1:len(token)-1], "''", "'")
	case token == "null":
		return nil
	case token == "true", token == "false":
		return token == "true"
	case e.take("("):
		var arguments []any
		for !e.take(")") {
			arguments = append(arguments, e.or())
			e.take(",")
		}
		return e.call(token, arguments)
	}
	value, ok := e.contexts[token]
	if !ok {
		panic("there is no context " + token)
	}
	return value
}

func (e *expression) call(name string, arguments []any) any {
	switch name {
	case "success", "failure", "cancelled", "always":
		e.asked = true
		return e.status(name)
	case "fromJSON":
		var value any
		if err := json.Unmarshal([]byte(text(arguments[0])), &value); err != nil {
			panic(err)
		}
		return value
	case "format":
		result := text(arguments[0])
		for i, argument := range arguments[1:] {
			result = strings.ReplaceAll(result, fmt.Sprintf("{%d}", i), text(argument))
		}
		return result
	}
	panic("there is no function " + name)
}

func truth(value any) bool {
	return value != nil && value != false && value != "" && value != 0.0
}

func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func TestExpressions(t *testing.T) {
	contexts := map[string]any{
		"vars":  map[string]any{"ONE": "1"},
		"needs": map[string]any{"a": map[string]any{"outputs": map[string]any{"m": `{"include":[{"x":"y"}]}`, "none": `{"include":[]}`}}},
	}
	for source, want := range map[string]any{
		`vars.ONE || 'two'`:                                          "1",
		`vars.TWO || format('{0}/{1}', 'a', 'b')`:                    "a/b",
		`fromJSON(needs.a.outputs.m).include[0] != null`:             true,
		`fromJSON(needs.a.outputs.none).include[0] != null`:          false,
		`!failure() && (vars.ONE == '1')`:                            true,
		`vars.ONE != '1' && 'yes' || ''`:                             "",
		`fromJSON(needs.a.outputs.m).include[0].x == 'y' && 'it''s'`: "it's",
	} {
		got, _, err := evaluate(source, contexts, func(string) bool { return false })
		if err != nil || got != want {
			t.Errorf("%s is %#v (%v), want %#v", source, got, err, want)
		}
	}
	for _, source := range []string{"nothing.here", "unknown('x')", "'a' < 'b'"} {
		if got, _, err := evaluate(source, contexts, nil); err == nil {
			t.Errorf("%s is %#v, want an error", source, got)
		}
	}
}
