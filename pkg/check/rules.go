// Package check looks for what is wrong in a repository of runtimes beyond what its
// manifests say: in Dockerfiles and in runtime folders. It has the list of all rules
// that findings are of, and prints findings for machines.
package check

import (
	"slices"

	"github.com/moby/buildkit/frontend/dockerfile/linter"

	"github.com/rtbuild/rtbuild/pkg/dockerfile"
	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// Rules about the tree; those about manifests are in package manifest.
const (
	RuleUnpinned         manifest.Rule = "unpinned"
	RuleMissingImage     manifest.Rule = "missing-image"
	RuleTagVersion       manifest.Rule = "tag-version"
	RuleUndecided        manifest.Rule = "undecided"
	RuleUnusedDockerfile manifest.Rule = "unused-dockerfile"
	RuleNotImported      manifest.Rule = "not-imported"
	RuleContract         manifest.Rule = "contract-functions"
	RuleExamples         manifest.Rule = "examples"
	RuleMakefile         manifest.Rule = "makefile"
	RuleDockerfile       manifest.Rule = "dockerfile"
	RuleLargeContext     manifest.Rule = "large-context"
	RuleUnsettled        manifest.Rule = "unsettled-context"
	RuleRoot             manifest.Rule = "root"
	RuleAddURL           manifest.Rule = "add-url"
	RuleLatest           manifest.Rule = "latest"
	RuleCRLF             manifest.Rule = "crlf"
	RuleUnusedIgnore     manifest.Rule = "unused-ignore"
)

// An Info is what there is to say of a rule.
type Info struct {
	Name manifest.Rule
	// Severity is that of most findings of the rule.
	Severity manifest.Severity
	// Summary says in one line what the rule demands.
	Summary string
	// Native is the name of the rule where a Dockerfile's linter found it.
	Native string
}

// Page is where the rule is explained, relative to the documentation.
func (i Info) Page() string { return "RULES.md#" + string(i.Name) }

// Rules are all rules, by name.
func Rules() []Info {
	rules := slices.Concat(manifestRules(), treeRules(), buildKitRules())
	slices.SortFunc(rules, func(a, b Info) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return rules
}

const (
	isError   = manifest.SeverityError
	isWarning = manifest.SeverityWarning
)

func manifestRules() []Info {
	return []Info{
		{Name: manifest.RuleWrongType, Severity: isError, Summary: "A field has the type that the controller reads"},
		{Name: manifest.RuleMissingField, Severity: isError, Summary: "Required fields are there, and required lists hold something"},
		{Name: manifest.RuleUnknownField, Severity: isWarning, Summary: "Fields are ones that the controller knows"},
		{Name: manifest.RuleRepeatedField, Severity: isError, Summary: "No field stands twice in an object, in two spellings"},
		{Name: manifest.RuleID, Severity: isError, Summary: "An ID can be deployed, and is declared once"},
		{Name: manifest.RuleVersion, Severity: isError, Summary: "A version can be deployed, and is declared once in its runtime"},
		{Name: manifest.RuleName, Severity: isError, Summary: "A name is declared once in its runtime"},
		{Name: manifest.RuleEOL, Severity: isWarning, Summary: "A version is still supported by its makers"},
		{Name: manifest.RuleDepName, Severity: isError, Summary: "depName can be a ConfigMap's key"},
		{Name: manifest.RuleFileNameSuffix, Severity: isWarning, Summary: "fileNameSuffix begins with a dot"},
		{Name: manifest.RulePhase, Severity: isError, Summary: "A phase is installation, compilation or runtime, each once in a version"},
		{Name: manifest.RuleNoRuntimePhase, Severity: isError, Summary: "Each version has an image of the phase runtime"},
		{Name: manifest.RuleImageReference, Severity: isError, Summary: "An image is a reference that registries and engines take"},
		{Name: manifest.RuleCommand, Severity: isWarning, Summary: "A command stands where it is run, and nowhere else"},
		{Name: manifest.RuleEnvOrder, Severity: isError, Summary: "No variable refers to another of the same env"},
		{Name: manifest.RuleEnvExpansion, Severity: isWarning, Summary: "Variables are written as Kubernetes expands them: $(NAME)"},
		{Name: manifest.RuleSecrets, Severity: isWarning, Summary: "Secrets stand where they are mounted"},
		{Name: manifest.RuleLivenessProbe, Severity: isWarning, Summary: "livenessProbeInfo stands where the controller finds it"},
		{Name: manifest.RuleBuildField, Severity: isError, Summary: "build is hidden, and has the fields that it takes"},
		{Name: manifest.RuleCarriageReturn, Severity: isWarning, Summary: "No string of the ConfigMap has carriage returns"},
	}
}

func treeRules() []Info {
	return []Info{
		{Name: RuleUnpinned, Severity: isWarning, Summary: "Images are pinned by digest"},
		{Name: RuleMissingImage, Severity: isError, Summary: "An image without a digest is made by a Dockerfile of the tree"},
		{Name: RuleTagVersion, Severity: isWarning, Summary: "The tag of an image is its version, or one of the runtime's others"},
		{Name: RuleUndecided, Severity: isError, Summary: "It is certain which Dockerfile makes an image"},
		{Name: RuleUnusedDockerfile, Severity: isWarning, Summary: "Each Dockerfile makes an image that a manifest names"},
		{Name: RuleNotImported, Severity: isWarning, Summary: "The root document imports each runtime folder"},
		{Name: RuleContract, Severity: isWarning, Summary: "A runtime has the functions that rtbuild verify runs"},
		{Name: RuleExamples, Severity: isWarning, Summary: "A runtime has its three examples"},
		{Name: RuleMakefile, Severity: isWarning, Summary: "A runtime folder has a Makefile"},
		{Name: RuleDockerfile, Severity: isError, Summary: "A Dockerfile is there and can be built"},
		{Name: RuleLargeContext, Severity: isWarning, Summary: "A build context holds no more than 2 GiB"},
		{Name: RuleUnsettled, Severity: isWarning, Summary: "An image reads nothing that differs after each release or in each clone"},
		{Name: RuleRoot, Severity: isWarning, Summary: "An image's user is not root", Native: dockerfile.RuleRoot},
		{Name: RuleAddURL, Severity: isWarning, Summary: "What ADD fetches is given by its checksum", Native: dockerfile.RuleAddURL},
		{Name: RuleLatest, Severity: isWarning, Summary: "Base images have a version"},
		{Name: RuleCRLF, Severity: isWarning, Summary: "Lines of Dockerfiles and scripts end in LF", Native: dockerfile.RuleCRLF},
		{Name: RuleUnusedIgnore, Severity: isWarning, Summary: "What rtbuild.yaml has check ignore is there, and is a warning"},
	}
}

// buildKitRules are those of BuildKit's linter that can come up here.
func buildKitRules() []Info {
	rule := func(name manifest.Rule, native, summary string) Info {
		return Info{Name: name, Severity: isWarning, Summary: summary, Native: native}
	}
	return []Info{
		rule("stage-name-casing", linter.RuleStageNameCasing.Name, linter.RuleStageNameCasing.Description),
		rule("from-as-casing", linter.RuleFromAsCasing.Name, linter.RuleFromAsCasing.Description),
		rule("no-empty-continuation", linter.RuleNoEmptyContinuation.Name, linter.RuleNoEmptyContinuation.Description),
		rule("consistent-instruction-casing", linter.RuleConsistentInstructionCasing.Name, linter.RuleConsistentInstructionCasing.Description),
		rule("duplicate-stage-name", linter.RuleDuplicateStageName.Name, linter.RuleDuplicateStageName.Description),
		rule("reserved-stage-name", linter.RuleReservedStageName.Name, linter.RuleReservedStageName.Description),
		rule("json-args-recommended", linter.RuleJSONArgsRecommended.Name, linter.RuleJSONArgsRecommended.Description),
		rule("maintainer-deprecated", linter.RuleMaintainerDeprecated.Name, linter.RuleMaintainerDeprecated.Description),
		rule("undefined-arg-in-from", linter.RuleUndefinedArgInFrom.Name, linter.RuleUndefinedArgInFrom.Description),
		rule("workdir-relative-path", linter.RuleWorkdirRelativePath.Name, linter.RuleWorkdirRelativePath.Description),
		rule("undefined-var", linter.RuleUndefinedVar.Name, linter.RuleUndefinedVar.Description),
		rule("multiple-instructions-disallowed", linter.RuleMultipleInstructionsDisallowed.Name, linter.RuleMultipleInstructionsDisallowed.Description),
		rule("legacy-key-value-format", linter.RuleLegacyKeyValueFormat.Name, linter.RuleLegacyKeyValueFormat.Description),
		rule("redundant-target-platform", linter.RuleRedundantTargetPlatform.Name, linter.RuleRedundantTargetPlatform.Description),
		rule("secrets-used-in-arg-or-env", linter.RuleSecretsUsedInArgOrEnv.Name, linter.RuleSecretsUsedInArgOrEnv.Description),
		rule("invalid-default-arg-in-from", linter.RuleInvalidDefaultArgInFrom.Name, linter.RuleInvalidDefaultArgInFrom.Description),
		rule("from-platform-flag-const-disallowed", linter.RuleFromPlatformFlagConstDisallowed.Name, linter.RuleFromPlatformFlagConstDisallowed.Description),
		rule("expose-proto-casing", linter.RuleExposeProtoCasing.Name, linter.RuleExposeProtoCasing.Description),
		rule("expose-invalid-format", linter.RuleExposeInvalidFormat.Name, linter.RuleExposeInvalidFormat.Description),
	}
}

// named is the rule of a name; ok is false where there is none.
func named(name manifest.Rule) (info Info, ok bool) {
	for _, rule := range Rules() {
		if rule.Name == name {
			return rule, true
		}
	}
	return Info{}, false
}

// native is the rule that a Dockerfile's linter calls by that name.
func native(name string) (info Info, ok bool) {
	for _, rule := range Rules() {
		if rule.Native == name {
			return rule, true
		}
	}
	return Info{}, false
}
