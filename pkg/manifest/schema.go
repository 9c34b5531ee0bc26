package manifest

import (
	"slices"
	"strings"
)

// An Object is a kind of object in the root document.
type Object string

// The objects, from outside inwards.
const (
	ObjectRuntime    Object = "runtime"
	ObjectVersion    Object = "version"
	ObjectImage      Object = "image"
	ObjectPullSecret Object = "imagePullSecret"
	ObjectSecret     Object = "secret"
	// ObjectBuild is hidden in an image: build:: { … }.
	ObjectBuild Object = "build"
)

// A Field is what the root document may have in an object. docs/MANIFEST.md
// explains each, and docs/manifest.schema.json has the same for editors.
type Field struct {
	Of   Object
	Name string
	// Type is "string", "list", "object", or "object of strings".
	Type     string
	Required bool
	// Hidden tells that it is written with two colons, so that rtbuild alone reads
	// it: it is not in the evaluated document.
	Hidden bool
}

// Fields are all fields that the controller reads, and the hidden ones.
func Fields() []Field {
	return []Field{
		{Of: ObjectRuntime, Name: "ID", Type: "string", Required: true},
		{Of: ObjectRuntime, Name: "depName", Type: "string"},
		{Of: ObjectRuntime, Name: "fileNameSuffix", Type: "string"},
		{Of: ObjectRuntime, Name: "versions", Type: "list", Required: true},
		{Of: ObjectRuntime, Name: "livenessProbeInfo", Type: "object"},
		{Of: ObjectVersion, Name: "name", Type: "string", Required: true},
		{Of: ObjectVersion, Name: "version", Type: "string", Required: true},
		{Of: ObjectVersion, Name: "images", Type: "list", Required: true},
		{Of: ObjectVersion, Name: "imagePullSecrets", Type: "list"},
		{Of: ObjectVersion, Name: "eol", Type: "string", Hidden: true},
		{Of: ObjectImage, Name: "phase", Type: "string", Required: true},
		{Of: ObjectImage, Name: "image", Type: "string", Required: true},
		{Of: ObjectImage, Name: "command", Type: "string"},
		{Of: ObjectImage, Name: "env", Type: "object of strings"},
		{Of: ObjectImage, Name: "secrets", Type: "list"},
		{Of: ObjectImage, Name: "build", Type: "object", Hidden: true},
		{Of: ObjectPullSecret, Name: "imageSecret", Type: "string", Required: true},
		{Of: ObjectSecret, Name: "name", Type: "string", Required: true},
		{Of: ObjectBuild, Name: "dockerfile", Type: "string"},
		{Of: ObjectBuild, Name: "context", Type: "string"},
		{Of: ObjectBuild, Name: "args", Type: "object of strings"},
		{Of: ObjectBuild, Name: "target", Type: "string"},
	}
}

// fieldsOf are those of an object in the evaluated document.
func fieldsOf(object Object) []Field {
	return slices.DeleteFunc(Fields(), func(f Field) bool { return f.Of != object || f.Hidden })
}

// hiddenField is the hidden field of an object with this name in any case.
func hiddenField(object Object, name string) (Field, bool) {
	for _, f := range Fields() {
		if f.Of == object && f.Hidden && strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Field{}, false
}
