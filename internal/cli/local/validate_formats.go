// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
)

// The formats of validate that tools of CI read.
const (
	outGitHub = "github"
	outSARIF  = "sarif"
	outJUnit  = "junit"
)

// text is what is wrong, without the place.
func (p *reportedProblem) text() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// writeGitHub writes annotations as GitHub Actions reads them (docs: workflow commands, "Setting an error message").
func (r *validationReport) writeGitHub(w io.Writer) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for i := range r.Problems {
		p := &r.Problems[i]
		command := map[string]string{severityError: "error", severityWarning: "warning", severityNote: "notice"}[p.Severity]
		line := "::" + command + " file=" + property.Replace(p.File)
		if p.Line > 0 {
			line += fmt.Sprintf(",line=%d", p.Line)
		}
		if p.Line > 0 && p.Column > 0 {
			line += fmt.Sprintf(",col=%d", p.Column)
		}
		line += ",title=" + property.Replace(cmp.Or(p.BPFMap, "bpfmap validate"))
		if _, err := fmt.Fprintf(w, "%s::%s\n", line, data.Replace(p.text())); err != nil {
			return err
		}
	}
	return nil
}

// sarif is the report as a SARIF 2.1.0 log (OASIS standard), with the members that viewers read.
func (r *validationReport) sarif() *sarifLog {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "bpfmap validate", InformationURI: "https://github.com/bpfmap-io/bpfmap-operator", Rules: []sarifRule{
		{ID: ruleInvalid, ShortDescription: sarifText{"The manifest can't be used"}},
		{ID: ruleWarning, ShortDescription: sarifText{"The manifest may be refused elsewhere"}},
	}}
	for i := range r.Problems {
		p := &r.Problems[i]
		result := sarifResult{RuleID: ruleWarning, Level: p.Severity, Message: sarifText{p.text()}}
		if p.Severity == severityError {
			result.RuleID = ruleInvalid
		}
		if p.BPFMap != "" {
			result.Message.Text = p.BPFMap + ": " + result.Message.Text
		}
		at := sarifLocation{}
		at.Physical.Artifact.URI = fileURI(p.File)
		if p.Line > 0 {
			at.Physical.Region = &sarifRegion{p.Line, p.Column}
		}
		result.Locations = []sarifLocation{at}
		run.Results = append(run.Results, result)
	}
	return &sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

// fileURI is a path as a URI: relative ones stay relative, to the root of the sources.
func fileURI(path string) string {
	path = filepath.ToSlash(filepath.Clean(path))
	if filepath.IsAbs(path) {
		return (&url.URL{Scheme: "file", Path: path}).String()
	}
	return (&url.URL{Path: path}).EscapedPath()
}

// The rules of a SARIF log.
const (
	ruleInvalid = "invalid-manifest"
	ruleWarning = "questionable-manifest"
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"` // error, warning or note, as our severities
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region *sarifRegion `json:"region,omitempty"`
		} `json:"physicalLocation"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
)

// junit is a report as JUnit's Ant task writes it, which CI systems read.
type (
	junitSuites struct {
		XMLName xml.Name   `xml:"testsuites"`
		Suite   junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Failure *junitFailure `xml:"failure"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a test case for each BPFMap, and one for each file with problems that belong to none.
func (r *validationReport) writeJUnit(w io.Writer) error {
	suite := junitSuite{Name: "bpfmap validate"}
	cases := map[string]int{}
	add := func(name, file string, line int) *junitCase {
		at, ok := cases[name]
		if !ok {
			at = len(suite.Cases)
			cases[name] = at
			suite.Cases = append(suite.Cases, junitCase{Name: name, Class: file, File: file, Line: line})
		}
		return &suite.Cases[at]
	}
	for _, m := range r.Maps {
		add(m.BPFMap, m.File, m.Line)
	}
	for i := range r.Problems {
		p := &r.Problems[i]
		c := add(cmp.Or(p.BPFMap, p.File), p.File, p.Line)
		place := p.File
		if p.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
		}
		line := place + ": " + p.text() + "\n"
		switch {
		case p.Severity != severityError:
			c.Output += p.Severity + ": " + line
		case c.Failure == nil:
			c.Failure = &junitFailure{Message: p.text(), Text: line}
			suite.Failures++
		default:
			c.Failure.Text += line
		}
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Suite: suite}); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
