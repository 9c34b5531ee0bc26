package provenance

// An Outline says where the parts of a Jsonnet source lie that something can be
// added to, each kind in source order.
type Outline struct {
	Lists  []List
	Fields []Field
	Names  []Name
}

// A Range is a part of a source, by byte offsets: End is behind its last byte.
type Range struct{ Start, End int }

// Holds tells whether an offset lies in the range.
func (r Range) Holds(offset int) bool { return r.Start <= offset && offset < r.End }

// A List is a list that is written out, brackets included: no comprehension.
type List struct {
	Range
	Elements []Range
}

// A Field is a field with a plain name of an object, value included.
type Field struct {
	Range
	Name string
	// Object is the innermost object around it.
	Object Range
}

// A Name is an identifier that stands for a value: where a local binds it, or where
// it is used.
type Name struct {
	Range
	Name string
	// Inner tells that a function or an object binds it, which may hide another of
	// that name. Its range is then that of the whole binding.
	Inner bool
}
