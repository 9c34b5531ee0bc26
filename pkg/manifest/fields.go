package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/nearest"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// A field is a member of an object in the document.
type field struct {
	pointer string
	value   any // nil if absent or null
	// misspelt tells that another field of the object seems to be meant for it,
	// which is said already.
	misspelt bool
}

func (f field) list() []any {
	list, _ := f.value.([]any)
	return list
}

const (
	required = true
	optional = false
)

// object reads the known fields of an object. The controller matches names
// in any case, and so does this; it ignores other names, which is worth a
// warning. Every known name is in the result, present or not.
func (d *decoding) object(pointer, subject string, value any, object Object) (map[string]field, bool) {
	members, ok := value.(map[string]any)
	if !ok {
		d.errorf(RuleWrongType, pointer, subject, "is %s, want an object", kindOf(value))
		return nil, false
	}
	if d.known[object] == nil {
		d.known[object] = fieldsOf(object)
	}
	known := d.known[object]
	fields := make(map[string]field, len(known))
	for _, f := range known {
		fields[f.Name] = field{pointer: pointer + "/" + f.Name}
	}
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(members)) {
		name, ok := matchFold(key, known)
		if !ok {
			unknown = append(unknown, key)
			continue
		}
		if fields[name].value != nil {
			d.errorf(RuleRepeatedField, pointer+"/"+provenance.EscapeKey(key), subject, "%q and another spelling of %s are in one object; keep one", key, name)
			continue
		}
		fields[name] = field{pointer: pointer + "/" + provenance.EscapeKey(key), value: members[key]}
	}
	for _, key := range unknown {
		d.unknownField(pointer+"/"+provenance.EscapeKey(key), subject, key, object, fields)
	}
	return fields, true
}

// unknownField reports a field that is none, and marks the one that it may be
// meant for. Where that one is required, this is what is wrong.
func (d *decoding) unknownField(pointer, subject, key string, object Object, fields map[string]field) {
	var known []string
	report := map[string]func(Rule, string, string, string, ...any){}
	for _, f := range fieldsOf(object) {
		known = append(known, f.Name)
		report[f.Name] = d.warnf
		if f.Required {
			report[f.Name] = d.errorf
		}
	}
	absent := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return fields[name].value != nil })
	near := nearest.Names(key, absent)
	if f, ok := hiddenField(object, key); ok {
		rule, value := RuleBuildField, "{ … }"
		if f.Type == "string" {
			rule, value = RuleEOL, "'…'"
		}
		d.warnf(rule, pointer, subject, "%s is visible and so ends up in the ConfigMap; hide it: %s:: %s", key, f.Name, value)
		return
	}
	if len(known) == 1 {
		near = absent // what else could it be
	}
	if len(near) == 0 {
		d.warnf(RuleUnknownField, pointer, subject, "unknown field %q: the controller ignores it; it knows %s", key, strings.Join(known, ", "))
		return
	}
	meant := fields[near[0]]
	meant.misspelt = true
	fields[near[0]] = meant
	report[near[0]](RuleUnknownField, pointer, subject, "unknown field %q; did you mean %s?", key, near[0])
}

func matchFold(key string, known []Field) (string, bool) {
	for _, f := range known {
		if strings.EqualFold(key, f.Name) {
			return f.Name, true
		}
	}
	return "", false
}

func (d *decoding) text(f field, subject, name string, need bool) string {
	if f.value == nil {
		if need && !f.misspelt {
			d.errorf(RuleMissingField, f.pointer, subject, "%s is missing", name)
		}
		return ""
	}
	text, ok := f.value.(string)
	if !ok {
		d.errorf(RuleWrongType, f.pointer, subject, "%s is %s, want a string%s", name, kindOf(f.value), quoteHint(f.value))
	}
	// An empty version is one: users type the ID alone.
	if ok && text == "" && need && name != "version" {
		d.errorf(RuleMissingField, f.pointer, subject, "%s is empty", name)
	}
	return text
}

// quoteHint explains why a number does not do: the controller's YAML reader
// turns 3.10 into "3.1", and Jsonnet does before it.
func quoteHint(value any) string {
	if _, ok := value.(json.Number); ok {
		return ": quote it; without quotes, 3.10 is 3.1"
	}
	return ""
}

func (d *decoding) list(f field, subject, name string, need bool) []any {
	if f.value == nil {
		if need && !f.misspelt {
			d.errorf(RuleMissingField, f.pointer, subject, "%s is missing", name)
		}
		return nil
	}
	list, ok := f.value.([]any)
	if !ok {
		d.errorf(RuleWrongType, f.pointer, subject, "%s is %s, want a list", name, kindOf(f.value))
		return nil
	}
	if need && len(list) == 0 {
		d.errorf(RuleMissingField, f.pointer, subject, "%s is empty", name)
	}
	return list
}

func (d *decoding) env(f field, subject string) map[string]string {
	if f.value == nil {
		return nil
	}
	members, ok := f.value.(map[string]any)
	if !ok {
		d.errorf(RuleWrongType, f.pointer, subject, "env is %s, want an object of strings: a list stops the controller", kindOf(f.value))
		return nil
	}
	env := make(map[string]string, len(members))
	for _, key := range slices.Sorted(maps.Keys(members)) {
		entry := field{pointer: f.pointer + "/" + provenance.EscapeKey(key), value: members[key]}
		if entry.value == "" {
			env[key] = ""
			continue
		}
		env[key] = d.text(entry, subject, "env "+key, required)
	}
	for _, key := range slices.Sorted(maps.Keys(env)) {
		d.checkEnv(field{pointer: f.pointer + "/" + provenance.EscapeKey(key)}, subject, key, env)
	}
	return env
}

// checkEnv looks for references that the cluster does not resolve. The
// controller hands env over in random order, and the kubelet expands $(NAME)
// from earlier entries only; it never expands $NAME.
func (d *decoding) checkEnv(f field, subject, key string, env map[string]string) {
	value := strings.ReplaceAll(env[key], "$$", "")
	for _, other := range slices.Sorted(maps.Keys(env)) {
		if strings.Contains(value, "$("+other+")") {
			d.errorf(RuleEnvOrder, f.pointer, subject, "env %s refers to $(%s) of the same env; their order is random in the cluster, so write the value out", key, other)
		}
	}
	for i := strings.IndexByte(value, '$'); i >= 0 && i+1 < len(value); i++ {
		if next := value[i+1]; value[i] == '$' && (next == '{' || next == '_' || next >= 'A' && next <= 'Z' || next >= 'a' && next <= 'z') {
			d.warnf(RuleEnvExpansion, f.pointer, subject, "env %s: %q is not expanded by Kubernetes; write $(NAME)", key, value[i:])
			return
		}
	}
}

func (d *decoding) secrets(f field, subject, name string, object Object) {
	for i, item := range d.list(f, subject, name, optional) {
		pointer := fmt.Sprintf("%s/%d", f.pointer, i)
		if fields, ok := d.object(pointer, subject, item, object); ok {
			for member, value := range fields {
				d.text(value, subject, name+" "+member, required)
			}
		}
	}
}

// kindOf names a JSON value's type for people.
func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("a %T", value)
}
