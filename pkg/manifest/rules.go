package manifest

// A Rule is the name of what a Finding is about. docs/RULES.md has a section of
// that name for each.
type Rule string

// Rules about the manifests.
const (
	RuleWrongType      Rule = "wrong-type"
	RuleMissingField   Rule = "missing-field"
	RuleUnknownField   Rule = "unknown-field"
	RuleRepeatedField  Rule = "repeated-field"
	RuleID             Rule = "id"
	RuleVersion        Rule = "version"
	RuleEOL            Rule = "eol"
	RuleName           Rule = "name"
	RuleDepName        Rule = "dep-name"
	RuleFileNameSuffix Rule = "file-name-suffix"
	RulePhase          Rule = "phase"
	RuleNoRuntimePhase Rule = "no-runtime-phase"
	RuleImageReference Rule = "image-reference"
	RuleCommand        Rule = "command"
	RuleEnvOrder       Rule = "env-order"
	RuleEnvExpansion   Rule = "env-expansion"
	RuleSecrets        Rule = "secrets"
	RuleLivenessProbe  Rule = "liveness-probe"
	RuleBuildField     Rule = "build-field"
	RuleCarriageReturn Rule = "carriage-return"
)

// leavesOpen tells whether an error of this rule leaves it open which images a
// runtime has: what follows from that for its images and Dockerfiles is not worth
// telling then.
func (r Rule) leavesOpen() bool {
	switch r {
	case RuleWrongType, RuleMissingField, RuleUnknownField, RuleRepeatedField, RulePhase, RuleImageReference, RuleBuildField:
		return true
	}
	return false
}
