// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// archived is a gzipped tar archive. Files have a text, links a target.
func archived(entries ...tar.Header) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		text := h.PAXRecords["text"]
		h.PAXRecords, h.Size, h.Mode = nil, int64(len(text)), 0o644
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return gzipped(b.String())
}

func file(name, text string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"text": text}}
}

func TestArtifacts(t *testing.T) {
	s := newSite(t, false)
	d := newDesk(t, func(c *Client) { c.Policy = nil }, s)
	spec := Spec{Namespace: "edge", Artifact: &v1alpha1.ArtifactSource{Kind: "GitRepository", Name: "feeds", Path: "lists/drop.txt"}}
	publish := func(archive string) {
		s.set(body(archive))
		d.objects.publish("GitRepository/feeds", Artifact{URL: s.URL + "/a.tar.gz", Digest: "sha256:" + digest(archive), Revision: "main@sha1:1"})
	}
	if state := d.attempt(spec); state.Ready() || !contains(state.Failure, "GitRepository feeds does not exist") {
		t.Errorf("without an object: %+v", state)
	}
	publish(archived(file("README.md", "x"), file("./lists/drop.txt", goodText)))
	first := d.good(spec, goodText)
	if first.Meta.Digest != "sha256:"+digest(goodText) {
		t.Errorf("digest %s", first.Meta.Digest)
	}
	before := len(s.requests())
	d.good(spec, goodText)
	if n := len(s.requests()) - before; n != 0 {
		t.Errorf("an artifact that is known was fetched %d times", n)
	}

	other := archived(file("lists/drop.txt", "new\n"))
	bad := map[string]struct {
		archive string
		change  func(*Artifact)
		want    string
	}{
		"another digest":  {other, func(a *Artifact) { a.Digest = "sha256:" + digest("x") }, "the artifact's checksum is"},
		"no digest":       {other, func(a *Artifact) { a.Digest = "" }, "is not sha256"},
		"another hash":    {other, func(a *Artifact) { a.Digest = "md5:" + digest("x") }, "is not sha256"},
		"another host":    {other, func(a *Artifact) { a.URL = "http://10.0.0.1/a.tar.gz" }, "host 10.0.0.1 is not allowed"},
		"no URL":          {other, func(a *Artifact) { a.URL = "" }, "must be http or https"},
		"told too large":  {other, func(a *Artifact) { a.Size = new(int64(1) << 40) }, "1099511627776 bytes"},
		"no such file":    {archived(file("lists/other.txt", "x")), nil, "has no file lists/drop.txt"},
		"only above":      {archived(file("../lists/drop.txt", "x"), file("/lists/drop.txt", "x"), file("a/../lists/drop.txt", "x")), nil, "has no file lists/drop.txt"},
		"a symbolic link": {archived(tar.Header{Name: "lists/drop.txt", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), nil, "is a link"},
		"a hard link":     {archived(tar.Header{Name: "lists/drop.txt", Typeflag: tar.TypeLink, Linkname: "README.md"}), nil, "is a link"},
		"a folder":        {archived(tar.Header{Name: "lists/drop.txt", Typeflag: tar.TypeDir}), nil, "not a file"},
		"a device":        {archived(tar.Header{Name: "lists/drop.txt", Typeflag: tar.TypeChar}), nil, "not a file"},
		"a large file":    {archived(file("lists/drop.txt", strings.Repeat(goodText, 100_000))), nil, "at most 2097152"},
		"a bomb":          {archived(file("big", strings.Repeat("0", 17<<20)), file("lists/drop.txt", "x")), nil, "has more than 16777216 bytes"},
		"many files":      {archived(manyFiles(200)...), nil, "more than 100 files"},
		"cut off":         {archived(file("big", strings.Repeat(goodText, 1000)), file("lists/drop.txt", "x"))[:100], nil, "read the artifact"},
		"no archive":      {"<html>", nil, "not a gzipped archive"},
		"no tar":          {gzipped("hello"), nil, "read the artifact"},
	}
	for name, c := range bad {
		publish(c.archive)
		if c.change != nil {
			a, _ := d.objects.Artifact(t.Context(), "", "GitRepository", "feeds")
			c.change(&a)
			d.objects.publish("GitRepository/feeds", a)
		}
		if state := d.attempt(spec); !contains(state.Failure, c.want) || d.text(spec) != goodText || state.Meta != first.Meta {
			t.Errorf("%s: failure is %q, want %q", name, state.Failure, c.want)
		}
	}
	d.objects.mu.Lock()
	d.objects.artifacts = nil
	d.objects.mu.Unlock()
	if state := d.attempt(spec); !contains(state.Failure, "does not exist") || d.text(spec) != goodText {
		t.Errorf("after the object vanished: %q", state.Failure)
	}
	publish(archived(file("lists/drop.txt", gzipped("new\n"))))
	d.good(spec, "new\n")
}

func manyFiles(n int) []tar.Header {
	all := make([]tar.Header, n)
	for i := range all {
		all[i] = file(strings.Repeat("a", i+1), "")
	}
	return all
}
