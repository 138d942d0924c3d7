// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provenance says in in-toto's and SLSA's words what was built from what.
package provenance

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Types of predicates, as cosign's --type slsaprovenance1 and spdxjson expect them.
const (
	Predicate     = "https://slsa.dev/provenance/v1"
	SPDXPredicate = "https://spdx.dev/Document"
)

// buildType is where what a build consists of, and what its parameters mean, is written down.
const buildType = "https://github.com/bpfmap-io/bpfmap-operator/blob/main/docs/verify.md#how-a-release-is-made"

const repository = "https://github.com/bpfmap-io/bpfmap-operator"

// Subject is a file or an image that a statement is of.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// SHA256 is the subject with that digest, with or without "sha256:" before it.
func SHA256(name, digest string) Subject {
	return Subject{name, map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}
}

type resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest,omitempty"`
}

type statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     any       `json:"predicate"`
}

type slsa struct {
	BuildDefinition struct {
		BuildType          string            `json:"buildType"`
		ExternalParameters map[string]string `json:"externalParameters"`
		InternalParameters map[string]string `json:"internalParameters"`
		ResolvedDeps       []resource        `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	} `json:"runDetails"`
}

// Build is what there is to say of one.
type Build struct {
	Version, Commit string
	// Builder is the URI of who ran it: a place that others can look up.
	Builder string
	// Tools are the versions of what made the bytes, by name.
	Tools map[string]string
}

// Statement is the provenance of subjects. It has no time and no machine in it, so that whoever builds the same again as
// the same builder gets the same bytes.
func (b Build) Statement(subjects []Subject) ([]byte, error) {
	var p slsa
	d := &p.BuildDefinition
	d.BuildType = buildType
	d.ExternalParameters = map[string]string{"repository": repository, "ref": "refs/tags/" + b.Version, "version": b.Version}
	d.InternalParameters = b.Tools
	d.ResolvedDeps = []resource{{"git+" + repository + "@refs/tags/" + b.Version, map[string]string{"gitCommit": b.Commit}}}
	p.RunDetails.Builder.ID = b.Builder
	return Statement(subjects, Predicate, p)
}

// Statement is one of in-toto's, version 1.
func Statement(subjects []Subject, predicateType string, predicate any) ([]byte, error) {
	text, err := json.MarshalIndent(statement{"https://in-toto.io/Statement/v1", subjects, predicateType, predicate}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write statement %s: %w", predicateType, err)
	}
	return append(text, '\n'), nil
}
