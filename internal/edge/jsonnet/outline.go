package jsonnet

import (
	"cmp"
	"slices"

	"github.com/google/go-jsonnet/ast"
	"github.com/google/go-jsonnet/formatter"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// Outline implements provenance.Evaluator.
func (e *Evaluator) Outline(file string, source []byte) (outline provenance.Outline, err error) {
	defer recoverInto(&err, file)
	root, lines, err := parse(file, source)
	if err != nil {
		return provenance.Outline{}, err
	}
	o := &outliner{lines: lines}
	pending := []ast.Node{root}
	for len(pending) > 0 {
		node := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		o.add(node)
		for _, child := range values(node) {
			if child != nil {
				pending = append(pending, child)
			}
		}
	}
	slices.SortFunc(o.Lists, func(a, b provenance.List) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortFunc(o.Fields, func(a, b provenance.Field) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortFunc(o.Names, func(a, b provenance.Name) int { return cmp.Compare(a.Start, b.Start) })
	return o.Outline, nil
}

// parse is the tree of a source as it is written, and the offsets at which the
// source's lines begin.
func parse(file string, source []byte) (ast.Node, []int, error) {
	text := source
	if isJsonnet(file) {
		text = asJsonnet(source)
	}
	root, _, err := formatter.SnippetToRawAST(file, string(text))
	if err != nil {
		return nil, nil, convertError(file, err)
	}
	return root, lineStarts(source), nil
}

// An outliner collects an outline.
type outliner struct {
	provenance.Outline
	lines []int
}

// add adds what is to be said of a node itself.
func (o *outliner) add(node ast.Node) {
	switch n := node.(type) {
	case *ast.Array:
		list := provenance.List{Range: o.at(*n.Loc())}
		for _, element := range n.Elements {
			list.Elements = append(list.Elements, o.at(*element.Expr.Loc()))
		}
		o.Lists = append(o.Lists, list)
	case *ast.Object:
		for _, field := range n.Fields {
			o.field(field, o.at(*n.Loc()))
			o.parameters(field.Method)
		}
	case *ast.ObjectComp:
		for _, field := range n.Fields {
			o.field(field, o.at(*n.Loc()))
		}
	case *ast.Local:
		for _, bind := range n.Binds {
			o.name(bind.LocRange, bind.Variable)
			o.parameters(bind.Fun)
		}
	case *ast.Function:
		o.parameters(n)
	case *ast.ArrayComp:
		for spec := &n.Spec; spec != nil; spec = spec.Outer {
			o.inner(*n.Loc(), spec.VarName)
		}
	case *ast.Var:
		o.name(*n.Loc(), n.Id)
	}
}

func (o *outliner) field(field ast.ObjectField, object provenance.Range) {
	switch {
	case field.Id == nil:
	case field.Kind == ast.ObjectLocal:
		o.inner(field.LocRange, *field.Id)
	case field.Kind == ast.ObjectFieldID:
		o.Fields = append(o.Fields, provenance.Field{Range: o.at(field.LocRange), Name: string(*field.Id), Object: object})
	}
}

func (o *outliner) parameters(function *ast.Function) {
	if function == nil {
		return
	}
	for _, parameter := range function.Parameters {
		o.inner(parameter.LocRange, parameter.Name)
	}
}

// name adds a name that a range begins with.
func (o *outliner) name(at ast.LocationRange, name ast.Identifier) {
	start := o.at(at).Start
	o.Names = append(o.Names, provenance.Name{Range: provenance.Range{Start: start, End: start + len(name)}, Name: string(name)})
}

func (o *outliner) inner(at ast.LocationRange, name ast.Identifier) {
	o.Names = append(o.Names, provenance.Name{Range: o.at(at), Name: string(name), Inner: true})
}

// at turns lines and byte columns, which count from 1, into offsets.
func (o *outliner) at(location ast.LocationRange) provenance.Range {
	begin, end := location.Begin, location.End
	return provenance.Range{Start: o.lines[begin.Line-1] + begin.Column - 1, End: o.lines[end.Line-1] + end.Column - 1}
}
