package jsonnet

import (
	"bytes"
	"fmt"
	"sort"

	gojsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// Literals implements provenance.Evaluator. A literal that is the whole of a
// field name ("x": …, ["x"]: …), of an index (o["x"]) or of the left side of
// "in" counts as a name, not as a value.
func (e *Evaluator) Literals(file string, source []byte) (literals []provenance.Literal, err error) {
	defer recoverInto(&err, file)
	root, lines, err := parse(file, source)
	if err != nil {
		return nil, err
	}
	for _, node := range valueLiterals(root) {
		literal, err := locate(node, source, lines)
		if err != nil {
			return nil, fmt.Errorf("%s:%s: %w", file, node.LocRange.Begin.String(), err)
		}
		literals = append(literals, literal)
	}
	sort.Slice(literals, func(a, b int) bool { return literals[a].Start < literals[b].Start })
	return literals, nil
}

// lineStarts holds the offset at which each line begins. Jsonnet ends lines
// at "\n" alone.
func lineStarts(source []byte) []int {
	starts := []int{0}
	for i, c := range source {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// locate turns the location of a node, in lines and byte columns, into
// offsets, and checks them against the quotes that must be there.
func locate(node *ast.LiteralString, source []byte, lines []int) (provenance.Literal, error) {
	begin, end := node.LocRange.Begin, node.LocRange.End
	literal := provenance.Literal{
		Value:  node.Value,
		Start:  lines[begin.Line-1] + begin.Column - 1,
		End:    lines[end.Line-1] + end.Column - 1,
		Line:   begin.Line,
		Column: begin.Column,
	}
	literal.CloseQuote = literal.End - 1
	open := literal.Start
	quote := byte('"')
	switch node.Kind {
	case ast.StringSingle:
		quote = '\''
	case ast.VerbatimStringSingle:
		quote = '\''
		open++
	case ast.VerbatimStringDouble:
		open++
	}
	if open >= literal.CloseQuote || literal.End > len(source) ||
		source[open] != quote || source[literal.CloseQuote] != quote {
		return provenance.Literal{}, fmt.Errorf("the string literal is not where the Jsonnet parser says")
	}
	if node.Kind.FullyEscaped() && bytes.IndexByte(source[open:literal.End], '\\') >= 0 {
		value, err := unescape(string(asJsonnet(source[literal.Start:literal.End])))
		if err != nil {
			return provenance.Literal{}, err
		}
		literal.Value = value
	}
	return literal, nil
}

// unescape is the value of one literal with escapes. The library resolves
// escapes when it prepares a tree for evaluation, not when it parses.
func unescape(literal string) (string, error) {
	node, err := gojsonnet.SnippetToAST("", literal)
	if err != nil {
		return "", fmt.Errorf("string literal %s: %w", literal, err)
	}
	value, ok := node.(*ast.LiteralString)
	if !ok {
		return "", fmt.Errorf("string literal %s: parsed as %T", literal, node)
	}
	return value.Value, nil
}

// valueLiterals collects the literals of a tree as it was parsed, before
// desugaring, that are values.
func valueLiterals(root ast.Node) []*ast.LiteralString {
	var found []*ast.LiteralString
	pending := []ast.Node{root}
	for len(pending) > 0 {
		node := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		if literal, ok := node.(*ast.LiteralString); ok {
			if literal.Kind != ast.StringBlock {
				found = append(found, literal)
			}
			continue
		}
		for _, child := range values(node) {
			if child != nil {
				pending = append(pending, child)
			}
		}
	}
	return found
}

// values lists the expressions directly in node, without names and import
// paths. Entries may be nil. (The library's list of children is made for
// desugared trees: of parsed ones it misses targets of o.x and default
// arguments.)
func values(node ast.Node) []ast.Node {
	switch n := node.(type) {
	case *ast.Apply:
		list := []ast.Node{n.Target}
		for _, arg := range n.Arguments.Positional {
			list = append(list, arg.Expr)
		}
		for _, arg := range n.Arguments.Named {
			list = append(list, arg.Arg)
		}
		return list
	case *ast.ApplyBrace:
		return []ast.Node{n.Left, n.Right}
	case *ast.Array:
		var list []ast.Node
		for _, element := range n.Elements {
			list = append(list, element.Expr)
		}
		return list
	case *ast.ArrayComp:
		return append(specValues(&n.Spec), n.Body)
	case *ast.Assert:
		return []ast.Node{n.Cond, n.Message, n.Rest}
	case *ast.Binary:
		if n.Op == ast.BopIn {
			return []ast.Node{unlessName(n.Left), n.Right}
		}
		return []ast.Node{n.Left, n.Right}
	case *ast.Conditional:
		return []ast.Node{n.Cond, n.BranchTrue, n.BranchFalse}
	case *ast.Error:
		return []ast.Node{n.Expr}
	case *ast.Function:
		return append(defaultArguments(n), n.Body)
	case *ast.Index:
		return []ast.Node{n.Target, unlessName(n.Index)}
	case *ast.InSuper:
		return []ast.Node{unlessName(n.Index)}
	case *ast.Local:
		return append(bindValues(n.Binds), n.Body)
	case *ast.Object:
		return fieldValues(n.Fields)
	case *ast.ObjectComp:
		return append(specValues(&n.Spec), fieldValues(n.Fields)...)
	case *ast.Parens:
		return []ast.Node{n.Inner}
	case *ast.Slice:
		return []ast.Node{n.Target, n.BeginIndex, n.EndIndex, n.Step}
	case *ast.SuperIndex:
		return []ast.Node{unlessName(n.Index)}
	case *ast.Unary:
		return []ast.Node{n.Expr}
	}
	// Imports, whose paths are no values, and leaves.
	return nil
}

func specValues(spec *ast.ForSpec) []ast.Node {
	var list []ast.Node
	for ; spec != nil; spec = spec.Outer {
		list = append(list, spec.Expr)
		for _, condition := range spec.Conditions {
			list = append(list, condition.Expr)
		}
	}
	return list
}

func bindValues(binds ast.LocalBinds) []ast.Node {
	var list []ast.Node
	for _, bind := range binds {
		if bind.Fun != nil {
			// The function's body is the bind's.
			list = append(list, defaultArguments(bind.Fun)...)
		}
		list = append(list, bind.Body)
	}
	return list
}

func defaultArguments(function *ast.Function) []ast.Node {
	var list []ast.Node
	for _, parameter := range function.Parameters {
		list = append(list, parameter.DefaultArg)
	}
	return list
}

func fieldValues(fields ast.ObjectFields) []ast.Node {
	var list []ast.Node
	for _, field := range fields {
		if field.Method != nil {
			// The method's body is the field's second expression.
			list = append(list, defaultArguments(field.Method)...)
		}
		list = append(list, unlessName(field.Expr1), field.Expr2, field.Expr3)
	}
	return list
}

// unlessName is node, or nil if it is a mere literal, which is then a name.
func unlessName(node ast.Node) ast.Node {
	inner := node
	for {
		parens, ok := inner.(*ast.Parens)
		if !ok {
			break
		}
		inner = parens.Inner
	}
	if _, literal := inner.(*ast.LiteralString); literal {
		return nil
	}
	return node
}
