// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sbom writes what is in a binary and in the image as SPDX 2.3 documents.
package sbom

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/licences"
)

const (
	project      = "github.com/bpfmap-io/bpfmap-operator"
	organization = "The bpfmap-operator Authors"
	licence      = "Apache-2.0"
	noAssertion  = "NOASSERTION"
)

// Binary is one of the release.
type Binary struct {
	// Name is unique in its document: bpfmap_v0.1.0_linux_amd64.
	Name, SHA256 string
	Modules      []licences.Module
}

// Image is one of a platform, or with Parts the index of several.
type Image struct {
	// Digest has "sha256:" before it.
	Name, Digest string
	// Reference is its package URL.
	Reference string
	Binary    *Binary
	Parts     []Image
}

// Document collects packages and how they relate.
type Document struct {
	version string
	doc     v2_3.Document
}

// New begins the document name of a version. subject is the digest of what it describes, which makes its namespace unique;
// created is the commit's time, so that the same commit makes the same document.
func New(name, version, subject string, created time.Time) *Document {
	return &Document{version: version, doc: v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: name,
		DocumentNamespace: fmt.Sprintf("https://%s/spdx/%s/%s-%s", project, version, name, strings.ReplaceAll(subject, ":", "-")),
		CreationInfo: &v2_3.CreationInfo{
			Creators: []common.Creator{{Creator: organization, CreatorType: "Organization"}, {Creator: "bpfmap-release-" + version, CreatorType: "Tool"}},
			Created:  created.UTC().Format(time.RFC3339),
		},
	}}
}

// Binary adds a binary with all its modules as what the document describes.
func (d *Document) Binary(b Binary) {
	d.relate("DOCUMENT", common.TypeRelationshipDescribe, d.binary(b))
}

// Image adds an image, its parts and the binaries in them as what the document describes.
func (d *Document) Image(i Image) { d.relate("DOCUMENT", common.TypeRelationshipDescribe, d.image(i)) }

func (d *Document) image(i Image) common.ElementID {
	id := d.add("Image", &v2_3.Package{
		PackageName: i.Name, PackageVersion: d.version, PrimaryPackagePurpose: "CONTAINER",
		PackageSupplier:         &common.Supplier{Supplier: organization, SupplierType: "Organization"},
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: licence,
		PackageChecksums: []common.Checksum{{Algorithm: common.SHA256, Value: strings.TrimPrefix(i.Digest, "sha256:")}},
		PackageExternalReferences: []*v2_3.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: i.Reference,
		}},
	})
	for _, part := range i.Parts {
		d.relate(string(d.image(part)), common.TypeRelationshipVariantOf, id)
	}
	if i.Binary != nil {
		d.relate(string(id), common.TypeRelationshipContains, d.binary(*i.Binary))
	}
	return id
}

func (d *Document) binary(b Binary) common.ElementID {
	id := d.add("Binary", &v2_3.Package{
		PackageName: b.Name, PackageVersion: d.version, PrimaryPackagePurpose: "APPLICATION",
		PackageSupplier:         &common.Supplier{Supplier: organization, SupplierType: "Organization"},
		PackageLicenseConcluded: licence, PackageLicenseDeclared: licence,
		PackageChecksums:          []common.Checksum{{Algorithm: common.SHA256, Value: b.SHA256}},
		PackageExternalReferences: reference(project, d.version),
	})
	for _, m := range b.Modules {
		d.relate(string(id), common.TypeRelationshipContains, d.module(m))
	}
	return id
}

// module adds a module, once for all binaries that have it.
func (d *Document) module(m licences.Module) common.ElementID {
	for _, p := range d.doc.Packages {
		if p.PackageName == m.Path && p.PackageVersion == m.Version {
			return p.PackageSPDXIdentifier
		}
	}
	p := &v2_3.Package{
		PackageName: m.Path, PackageVersion: m.Version, PrimaryPackagePurpose: "LIBRARY",
		PackageLicenseConcluded: m.Licence, PackageLicenseDeclared: m.Licence,
		PackageExternalReferences: reference(m.Path, m.Version),
	}
	if m.Path == "std" {
		p.PackageExternalReferences = reference("stdlib", strings.TrimPrefix(m.Version, "go"))
		p.PackageComment = "Go's standard library"
	} else {
		p.PackageComment = "checksum in go.sum: " + m.Sum
	}
	return d.add("Module", p)
}

func (d *Document) add(kind string, p *v2_3.Package) common.ElementID {
	p.PackageSPDXIdentifier = common.ElementID(fmt.Sprintf("%s-%d-%s", kind, len(d.doc.Packages)+1, identifier(p.PackageName)))
	p.PackageDownloadLocation, p.PackageCopyrightText, p.IsFilesAnalyzedTagPresent = noAssertion, noAssertion, true
	d.doc.Packages = append(d.doc.Packages, p)
	return p.PackageSPDXIdentifier
}

func (d *Document) relate(a, how string, b common.ElementID) {
	d.doc.Relationships = append(d.doc.Relationships, &v2_3.Relationship{
		RefA: common.MakeDocElementID("", a), Relationship: how, RefB: common.MakeDocElementID("", string(b)),
	})
}

// JSON is the document.
func (d *Document) JSON() ([]byte, error) {
	var b bytes.Buffer
	if err := spdxjson.Write(&d.doc, &b, spdxjson.Indent(" "), spdxjson.EscapeHTML(false)); err != nil {
		return nil, fmt.Errorf("write SBOM %s: %w", d.doc.DocumentName, err)
	}
	return b.Bytes(), nil
}

// identifier is a name with the characters that SPDX's identifiers may have.
func identifier(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, name)
}

// reference is a Go module's package URL, in small letters as its specification asks for.
func reference(path, version string) []*v2_3.PackageExternalReference {
	return []*v2_3.PackageExternalReference{{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL,
		Locator: "pkg:golang/" + strings.ToLower(path) + "@" + url.QueryEscape(version),
	}}
}
