package manifest

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
}

// Fields are all fields that the controller reads, and those of the hidden build.
func Fields() []Field {
	return []Field{
		{ObjectRuntime, "ID", "string", required},
		{ObjectRuntime, "depName", "string", optional},
		{ObjectRuntime, "fileNameSuffix", "string", optional},
		{ObjectRuntime, "versions", "list", required},
		{ObjectRuntime, "livenessProbeInfo", "object", optional},
		{ObjectVersion, "name", "string", required},
		{ObjectVersion, "version", "string", required},
		{ObjectVersion, "images", "list", required},
		{ObjectVersion, "imagePullSecrets", "list", optional},
		{ObjectImage, "phase", "string", required},
		{ObjectImage, "image", "string", required},
		{ObjectImage, "command", "string", optional},
		{ObjectImage, "env", "object of strings", optional},
		{ObjectImage, "secrets", "list", optional},
		{ObjectPullSecret, "imageSecret", "string", required},
		{ObjectSecret, "name", "string", required},
		{ObjectBuild, "dockerfile", "string", optional},
		{ObjectBuild, "context", "string", optional},
		{ObjectBuild, "args", "object of strings", optional},
		{ObjectBuild, "target", "string", optional},
	}
}

// fieldsOf are those of an object.
func fieldsOf(object Object) []Field {
	var fields []Field
	for _, f := range Fields() {
		if f.Of == object {
			fields = append(fields, f)
		}
	}
	return fields
}
