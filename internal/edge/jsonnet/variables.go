package jsonnet

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// A Variable is a value from outside of the document, as the jsonnet command
// takes them: --ext-str, --tla-code-file and so on.
type Variable struct {
	Name string
	// Text is the value; the path of the file that holds it, if File is set.
	Text string
	// Argument makes it an argument of the document, which is then a function;
	// else it is an external variable.
	Argument bool
	// Code is evaluated; else the value is a string as it is.
	Code, File bool
}

// identifier is what can be a parameter's name.
var identifier = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// With returns an Evaluator with variables, besides those that e has. An
// argument whose name no function can have, and code that does not parse, are
// errors. Relative paths are those of the working directory.
func (e *Evaluator) With(variables ...Variable) (*Evaluator, error) {
	with := &Evaluator{libraryPaths: e.libraryPaths, variables: e.variables[:len(e.variables):len(e.variables)]}
	for _, v := range variables {
		if v.Argument && !identifier.MatchString(v.Name) {
			return nil, fmt.Errorf("%q cannot be the name of a top-level argument: letters, digits and _ only", v.Name)
		}
		if v.File {
			path, err := filepath.Abs(v.Text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.Name, err)
			}
			v.Text = path
		} else if v.Code {
			if _, err := gojsonnet.SnippetToAST(v.Name, v.Text); err != nil {
				return nil, fmt.Errorf("the code of the variable %w", err)
			}
		}
		with.variables = append(with.variables, v)
	}
	return with, nil
}

// code is the Jsonnet expression for the variable's value; false where it is
// a string as it is. A file is imported, so that what it holds is read, traced
// and pinned like every other source.
func (v Variable) code() (string, bool) {
	if !v.File {
		return v.Text, v.Code
	}
	verb := "importstr"
	if v.Code {
		verb = "import"
	}
	return verb + " @'" + strings.ReplaceAll(v.Text, "'", "''") + "'", true
}

// argumentPrefix begins the names of external variables that hold arguments,
// for snippets.
const argumentPrefix = "top-level argument "

// define gives the variables to an evaluation. The library passes arguments to
// a document by itself; a snippet finds them as external variables.
func (e *Evaluator) define(vm *gojsonnet.VM, req provenance.Request) {
	for _, v := range e.variables {
		text, isCode := v.code()
		switch {
		case v.Argument && req.Snippet == nil && isCode:
			vm.TLACode(v.Name, text)
		case v.Argument && req.Snippet == nil:
			vm.TLAVar(v.Name, text)
		case isCode:
			vm.ExtCode(v.external(), text)
		default:
			vm.ExtVar(v.external(), text)
		}
	}
}

// external is the name of the external variable that holds the value.
func (v Variable) external() string {
	if v.Argument {
		return argumentPrefix + v.Name
	}
	return v.Name
}

// about is the request's snippet, with the document as a local. A document that
// is a function is called, as the library calls one that it evaluates itself.
func (e *Evaluator) about(req provenance.Request) string {
	var arguments []string
	for _, v := range e.variables {
		if v.Argument {
			arguments = append(arguments, fmt.Sprintf("%s=std.extVar(%q)", v.Name, v.external()))
		}
	}
	name := strings.ReplaceAll(filepath.Base(req.File), "'", "''")
	return fmt.Sprintf("local document = (local it = import @'%s'; if std.isFunction(it) then it(%s) else it);\n%s",
		name, strings.Join(arguments, ", "), req.Snippet)
}

// A source is a Jsonnet text under evaluation.
type source struct {
	path string
	node ast.Node
}

// sources are the texts that an evaluation begins with: the document, and the
// code of variables.
func (e *Evaluator) sources(root string, node ast.Node) []source {
	list := []source{{root, node}}
	for _, v := range e.variables {
		text, isCode := v.code()
		if !isCode {
			continue
		}
		// Code that does not parse has failed the evaluation, or was not needed.
		if code, err := gojsonnet.SnippetToAST("", text); err == nil {
			list = append(list, source{"", code})
		}
	}
	return list
}
