package check

import (
	"encoding/json"
	"io"
	"net/url"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// pages is where the documentation is read.
const pages = "https://github.com/rtbuild/rtbuild/blob/main/docs/"

// The parts of SARIF 2.1.0 that are written, as its schema names them.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string       `json:"id"`
		Short   sarifText    `json:"shortDescription"`
		HelpURI string       `json:"helpUri"`
		Default sarifDefault `json:"defaultConfiguration"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI    string `json:"uri"`
		BaseID string `json:"uriBaseId"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
)

// SARIF writes findings in the tree at root as one SARIF 2.1.0 log, as code scanning
// takes it. Version is the program's.
func SARIF(out io.Writer, root, version string, findings []manifest.Finding) error {
	rules := Rules()
	run := sarifRun{ColumnKind: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "rtbuild", Version: version, InformationURI: "https://github.com/rtbuild/rtbuild"}
	for _, rule := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
			ID: string(rule.Name), Short: sarifText{rule.Summary}, HelpURI: pages + rule.Page(), Default: sarifDefault{string(rule.Severity)},
		})
	}
	for _, f := range findings {
		result := sarifResult{
			RuleID: string(f.Rule), Level: string(f.Severity), Message: sarifText{f.Text()},
			RuleIndex: slices.IndexFunc(rules, func(rule Info) bool { return rule.Name == f.Rule }),
		}
		if f.Position.File != "" {
			location := sarifPhysical{Artifact: sarifArtifact{URI: (&url.URL{Path: relative(root, f.Position.File)}).EscapedPath(), BaseID: "%SRCROOT%"}}
			if f.Position.Line > 0 {
				location.Region = &sarifRegion{StartLine: f.Position.Line, StartColumn: f.Position.Column}
			}
			result.Locations = []sarifLocation{{Physical: location}}
		}
		run.Results = append(run.Results, result)
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}
