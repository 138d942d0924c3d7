// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/archive"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/chart"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/krew"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/licences"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/oci"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/provenance"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/sbom"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/sign"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/source"
)

// Names of files of a release that have no version in them.
const (
	sums       = "SHA256SUMS"
	noticeName = "THIRD_PARTY_NOTICES.txt"
)

// release collects the files of one.
type release struct {
	*source.Release
	o        options
	key      *sign.Key
	binaries []*binary
	// beside are the files that go with each binary: licences and notices.
	beside []archive.File
	// repository is the image's, without a tag; index and chart are what goes to the registry.
	repository string
	index      v1.ImageIndex
	chart      v1.Image
	boms       map[string][]byte // SBOM of the binary of a platform, and of "image"
	subjects   []provenance.Subject
	files      []archive.File
}

func (r *release) add(name string, content []byte) {
	r.files = append(r.files, archive.File{Name: name, Mode: 0o644, Content: content})
	r.subjects = append(r.subjects, provenance.SHA256(name, digest(content)))
}

// assemble makes all files of a release, with work as its folder.
func assemble(ctx context.Context, o options, key *sign.Key, work string) ([]archive.File, error) {
	src, err := source.Prepare(ctx, o.repository, o.version, filepath.Join(work, "source"), source.Rules{Tagged: o.tagged, Unreleased: o.unreleased})
	if err != nil {
		return nil, err
	}
	r := &release{Release: src, o: o, key: key, boms: map[string][]byte{}}
	for _, step := range []func(context.Context, string) error{
		r.compileAll, r.packBinaries, r.makeImage, r.packChart, r.writeBOMs, r.writeNotes, r.attest, r.signImages,
	} {
		if err := step(ctx, work); err != nil {
			return nil, err
		}
	}
	return r.files, nil
}

func (r *release) compileAll(ctx context.Context, work string) error {
	var modules []licences.Module
	for _, p := range platforms {
		b, err := compile(ctx, r.Release, p.os, p.arch, work)
		if err != nil {
			return err
		}
		r.binaries = append(r.binaries, b)
		modules = append(modules, b.modules...)
	}
	licence, err := os.ReadFile(filepath.Join(r.Dir, "LICENSE"))
	if err != nil {
		return fmt.Errorf("read the licence: %w", err)
	}
	notices := []byte(licences.Notices("bpfmap-operator", modules))
	r.beside = []archive.File{{Name: "LICENSE", Mode: 0o644, Content: licence}, {Name: noticeName, Mode: 0o644, Content: notices}}
	r.add(noticeName, notices)
	return nil
}

// packBinaries packs bpfmap with its manual pages, and the kubectl plugin for krew.
func (r *release) packBinaries(ctx context.Context, _ string) error {
	pages, err := r.Files(ctx, "docs/man")
	if err != nil {
		return err
	}
	var manual []archive.File
	for _, p := range pages {
		content, err := os.ReadFile(filepath.Join(r.Dir, p))
		if err != nil {
			return fmt.Errorf("pack manual pages: %w", err)
		}
		manual = append(manual, archive.File{Name: "man/man1/" + filepath.Base(p), Mode: 0o644, Content: content})
	}
	var plugins []krew.Binary
	for _, b := range r.binaries {
		files := slices.Concat([]archive.File{{Name: "bpfmap", Mode: 0o755, Content: b.content}}, r.beside, manual)
		packed, err := archive.TarGz(files, r.Time)
		if err != nil {
			return err
		}
		r.add(r.named(b)+".tar.gz", packed)
		plugins = append(plugins, krew.Binary{OS: b.os, Arch: b.arch, Content: b.content})
	}
	packed, err := krew.Pack(r.Version, plugins, r.beside, r.Time)
	if err != nil {
		return err
	}
	for _, f := range packed {
		r.add(f.Name, f.Content)
	}
	return nil
}

// named is the name of a binary's archive and of its SBOM, without their endings.
func (r *release) named(b *binary) string {
	return fmt.Sprintf("bpfmap_%s_%s_%s", r.Version, b.os, b.arch)
}

func (r *release) makeImage(ctx context.Context, _ string) (err error) {
	if r.repository, err = chart.Repository(r.Dir); err != nil {
		return err
	}
	var images []oci.Platform
	for _, b := range r.binaries {
		files := append([]archive.File{{Name: "bpfmap", Mode: 0o755, Content: b.content}}, r.beside...)
		images = append(images, oci.Platform{OS: b.os, Arch: b.arch, Files: files})
	}
	if r.index, err = oci.Index(images, oci.Labels(r.Number, r.Commit, r.Time), r.Time); err != nil {
		return err
	}
	packed, err := oci.Layout([]oci.Tagged{{Repository: r.repository, Tag: r.Number, Content: r.index}}, r.Time)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("bpfmap-operator_%s_image.oci.tar", r.Version), packed)
	image, err := r.index.Digest()
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	r.subjects = append(r.subjects, provenance.SHA256(r.repository, image.String()))
	text, err := install(ctx, r.Release, r.repository, image.String())
	if err != nil {
		return err
	}
	r.add("install.yaml", text)
	return nil
}

// chartRepository is where the chart is pushed to: beside the image, in "charts".
func (r *release) chartRepository() string {
	at := strings.LastIndex(r.repository, "/")
	return r.repository[:at] + "/charts" + r.repository[at:]
}

func (r *release) packChart(ctx context.Context, _ string) error {
	files, err := r.Files(ctx, chart.Folder)
	if err != nil {
		return err
	}
	image, err := r.index.Digest()
	if err != nil {
		return fmt.Errorf("pack the chart: %w", err)
	}
	c, err := chart.Pack(r.Release, files, image.String())
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("%s-%s.tgz", c.Name, r.Number), c.Packed)
	if r.chart, err = oci.Chart(c.Packed, c.Metadata, c.Annotations); err != nil {
		return err
	}
	packed, err := oci.Layout([]oci.Tagged{{Repository: r.chartRepository(), Tag: r.Number, Content: r.chart}}, r.Time)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("bpfmap-operator_%s_chart.oci.tar", r.Version), packed)
	at, err := r.chart.Digest()
	if err != nil {
		return fmt.Errorf("pack the chart: %w", err)
	}
	r.subjects = append(r.subjects, provenance.SHA256(r.chartRepository(), at.String()))
	return nil
}

func (r *release) writeBOMs(context.Context, string) error {
	manifest, err := r.index.IndexManifest()
	if err != nil {
		return fmt.Errorf("write the image's SBOM: %w", err)
	}
	all, err := r.index.Digest()
	if err != nil {
		return fmt.Errorf("write the image's SBOM: %w", err)
	}
	image := r.image(r.repository, all.String(), "")
	for i, b := range r.binaries {
		described := sbom.Binary{Name: r.named(b), SHA256: digest(b.content), Modules: b.modules}
		d := sbom.New(described.Name, r.Version, described.SHA256, r.Time)
		d.Binary(described)
		if err := r.bom(b.os+"/"+b.arch, described.Name, d); err != nil {
			return err
		}
		part := r.image(r.repository+" ("+b.os+"/"+b.arch+")", manifest.Manifests[i].Digest.String(), "arch="+b.arch+"&")
		part.Binary = &described
		image.Parts = append(image.Parts, part)
	}
	name := fmt.Sprintf("bpfmap-operator_%s_image", r.Version)
	d := sbom.New(name, r.Version, image.Digest, r.Time)
	d.Image(image)
	return r.bom("image", name, d)
}

func (r *release) image(name, at, qualifier string) sbom.Image {
	purl := fmt.Sprintf("pkg:oci/bpfmap-operator@%s?%srepository_url=%s&tag=%s", strings.Replace(at, ":", "%3A", 1), qualifier, r.repository, r.Number)
	return sbom.Image{Name: name, Digest: at, Reference: purl}
}

func (r *release) bom(of, name string, d *sbom.Document) error {
	text, err := d.JSON()
	if err != nil {
		return err
	}
	r.boms[of] = text
	r.add(name+".spdx.json", text)
	return nil
}

// writeNotes says what is new and which digests the release has.
func (r *release) writeNotes(context.Context, string) error {
	image, err := r.index.Digest()
	if err != nil {
		return fmt.Errorf("write the notes: %w", err)
	}
	at, err := r.chart.Digest()
	if err != nil {
		return fmt.Errorf("write the notes: %w", err)
	}
	text := fmt.Sprintf("%s\n### Images\n\n- `%s:%s@%s`\n- `oci://%s:%s@%s`, the chart\n\n[Verify this release](https://github.com/bpfmap-io/bpfmap-operator/blob/%s/docs/verify.md) before you use it.\n",
		r.Notes, r.repository, r.Number, image, r.chartRepository(), r.Number, at, r.Version)
	r.add("RELEASE_NOTES.md", []byte(text))
	return nil
}

func (r *release) provenance(ctx context.Context, subjects []provenance.Subject) ([]byte, error) {
	versions, err := tools(ctx, r.Release)
	if err != nil {
		return nil, err
	}
	return provenance.Build{Version: r.Version, Commit: r.Commit, Builder: r.o.builder, Tools: versions}.Statement(subjects)
}

// attest writes provenance and checksums of all files before them, and signs both.
func (r *release) attest(ctx context.Context, _ string) error {
	statement, err := r.provenance(ctx, r.subjects)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("bpfmap-operator_%s_provenance.json", r.Version), statement)
	slices.SortFunc(r.files, func(a, b archive.File) int { return strings.Compare(a.Name, b.Name) })
	var list strings.Builder
	for _, f := range r.files {
		fmt.Fprintf(&list, "%s  %s\n", digest(f.Content), f.Name)
	}
	r.add(sums, []byte(list.String()))
	if r.key == nil {
		return nil
	}
	signature, err := r.key.Blob(ctx, []byte(list.String()))
	if err != nil {
		return err
	}
	r.add(sums+".sig", signature)
	signed, err := r.key.Envelope(ctx, statement)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("bpfmap-operator_%s_provenance.intoto.jsonl", r.Version), signed)
	public, err := r.key.Public()
	if err != nil {
		return err
	}
	r.add("cosign.pub", public)
	return nil
}

// signImages packs what cosign looks for beside images: signatures, provenance and the SBOM.
func (r *release) signImages(ctx context.Context, _ string) error {
	if r.key == nil {
		return nil
	}
	var beside []oci.Tagged
	image, err := r.index.Digest()
	if err != nil {
		return fmt.Errorf("sign the image: %w", err)
	}
	packed, err := r.chart.Digest()
	if err != nil {
		return fmt.Errorf("sign the chart: %w", err)
	}
	for _, s := range []struct {
		repository string
		digest     v1.Hash
		bom        []byte
	}{{r.repository, image, r.boms["image"]}, {r.chartRepository(), packed, nil}} {
		more, err := r.signOne(ctx, s.repository, s.digest, s.bom)
		if err != nil {
			return err
		}
		beside = append(beside, more...)
	}
	content, err := oci.Layout(beside, r.Time)
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("bpfmap-operator_%s_signatures.oci.tar", r.Version), content)
	return nil
}

func (r *release) signOne(ctx context.Context, repository string, at v1.Hash, bom []byte) ([]oci.Tagged, error) {
	payload, text, err := r.key.Image(ctx, repository, at.String())
	if err != nil {
		return nil, err
	}
	signature, err := oci.Signature(payload, text)
	if err != nil {
		return nil, err
	}
	subject := []provenance.Subject{provenance.SHA256(repository, at.String())}
	statement, err := r.provenance(ctx, subject)
	if err != nil {
		return nil, err
	}
	statements := []oci.Attestation{{PredicateType: provenance.Predicate, Envelope: statement}}
	if bom != nil {
		statement, err := provenance.Statement(subject, provenance.SPDXPredicate, json.RawMessage(bom))
		if err != nil {
			return nil, err
		}
		statements = append(statements, oci.Attestation{PredicateType: provenance.SPDXPredicate, Envelope: statement})
	}
	for i := range statements {
		if statements[i].Envelope, err = r.key.Envelope(ctx, statements[i].Envelope); err != nil {
			return nil, err
		}
	}
	attestations, err := oci.Attestations(statements)
	if err != nil {
		return nil, err
	}
	tag := at.Algorithm + "-" + at.Hex
	return []oci.Tagged{{Repository: repository, Tag: tag + ".sig", Content: signature}, {Repository: repository, Tag: tag + ".att", Content: attestations}}, nil
}
