// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"debug/buildinfo"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/oci"
	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/sign"
)

// TestReproducible builds twice in different surroundings.
func TestReproducible(t *testing.T) {
	t.Setenv("PATH", filepath.Dir(tool(t, "kubectl"))+":"+os.Getenv("PATH"))
	key, _ := keyFile(t)
	var said bytes.Buffer
	if err := run(t.Context(), []string{"check", "-repository", project(t), "-version", "v0.1.0", "-key", key}, &said); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if !strings.Contains(said.String(), "files are the same") {
		t.Error(said.String())
	}
	if err := compare(map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "1", "b": "3", "c": "4"}, io.Discard); err == nil || !strings.Contains(err.Error(), "differ in b, c") {
		t.Errorf("two builds that differ: %v", err)
	}
}

// TestRelease makes a release, verifies all of it, pushes it to a registry, and verifies what can be pulled.
func TestRelease(t *testing.T) {
	dir := project(t)
	key, public := keyFile(t)
	out := released(t, dir, key)
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	t.Run("sums", func(t *testing.T) {
		list := read("SHA256SUMS")
		if err := sign.Verify(public, list, read("SHA256SUMS.sig")); err != nil {
			t.Error(err)
		}
		if err := sign.Verify(public, append(list, ' '), read("SHA256SUMS.sig")); err == nil {
			t.Error("the signature also fits another list")
		}
		if said := execute(t, out, "sha256sum", "--check", "--strict", "SHA256SUMS"); strings.Count(said, ": OK") != bytes.Count(list, []byte("\n")) {
			t.Error(said)
		}
	})
	t.Run("binary", func(t *testing.T) { checkBinary(t, dir, read("bpfmap_v0.1.0_linux_"+runtime.GOARCH+".tar.gz")) })
	t.Run("SBOM", func(t *testing.T) {
		for _, n := range []string{"bpfmap_v0.1.0_linux_amd64", "bpfmap_v0.1.0_linux_arm64", "bpfmap-operator_v0.1.0_image"} {
			d, err := spdxjson.Read(bytes.NewReader(read(n + ".spdx.json")))
			if err != nil {
				t.Fatal(err)
			}
			if err := spdxlib.ValidateDocument(d); err != nil {
				t.Error(err)
			}
			if d.SPDXVersion != "SPDX-2.3" || strings.Contains(d.DocumentNamespace, "#") || !bytes.Contains(read(n+".spdx.json"), []byte("pkg:golang/stdlib@1")) {
				t.Errorf("%s: %+v", n, d)
			}
		}
	})
	t.Run("provenance", func(t *testing.T) {
		var e dsse.Envelope
		if err := json.Unmarshal(read("bpfmap-operator_v0.1.0_provenance.intoto.jsonl"), &e); err != nil {
			t.Fatal(err)
		}
		if payload := opened(t, &e, public); !bytes.Equal(payload, read("bpfmap-operator_v0.1.0_provenance.json")) ||
			!bytes.Contains(payload, []byte(git(t, dir, "rev-parse", "HEAD"))) || !bytes.Contains(payload, []byte(`"install.yaml"`)) {
			t.Errorf("the provenance is %s", payload)
		}
	})
	t.Run("registry", func(t *testing.T) { checkRegistry(t, out, public) })
}

func checkBinary(t *testing.T, dir string, packed []byte) {
	into := t.TempDir()
	write(t, filepath.Join(into, "x.tar.gz"), string(packed))
	execute(t, into, "tar", "-xzf", "x.tar.gz")
	path := filepath.Join(into, "bpfmap")
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Main.Version != "v0.1.0" {
		t.Errorf("go version -m: %s", info)
	}
	c := execute(t, into, "sh", "-c", "./bpfmap 2>&1")
	if want := regexp.MustCompile(`^v0\.1\.0 ` + git(t, dir, "rev-parse", "HEAD") + ` 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$`); !want.MatchString(c) {
		t.Errorf("the binary says %q", c)
	}
	for _, f := range []string{"LICENSE", "THIRD_PARTY_NOTICES.txt", "man/man1/bpfmap.1"} {
		if _, err := os.Stat(filepath.Join(into, f)); err != nil {
			t.Error(err)
		}
	}
}

// checkRegistry pushes and pulls, as users with crane, cosign and Helm do.
func checkRegistry(t *testing.T, out string, public []byte) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	at := strings.TrimPrefix(server.URL, "http://")
	args := []string{"push", "-out", filepath.Dir(out), "-version", "v0.1.0", "-registry", at + "/mirror"}
	var first, again bytes.Buffer
	if err := run(t.Context(), args, &first); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), args, &again); err != nil || again.String() != first.String() || strings.Count(first.String(), "\n") != 6 {
		t.Errorf("pushed again: %v\n%s\nfirst:\n%s", err, again.String(), first.String())
	}
	image := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(at) + `/mirror/bpfmap-operator:0\.1\.0@(sha256:\S+)$`).FindStringSubmatch(first.String())
	packed := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(at) + `/mirror/charts/bpfmap-operator:0\.1\.0@(sha256:\S+)$`).FindStringSubmatch(first.String())
	if image == nil || packed == nil {
		t.Fatalf("pushed:\n%s", first.String())
	}
	pulled, err := remote.Index(reference(t, at+"/mirror/bpfmap-operator@"+image[1]))
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		one, err := remote.Image(reference(t, at+"/mirror/bpfmap-operator@"+image[1]), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		if err != nil {
			t.Fatal(err)
		}
		config, err := one.ConfigFile()
		if err != nil || config.Architecture != arch || config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "0.1.0" {
			t.Errorf("%s: %v, %+v", arch, err, config)
		}
	}
	if m, err := pulled.IndexManifest(); err != nil || len(m.Manifests) != 2 || m.Annotations["org.opencontainers.image.revision"] == "" {
		t.Errorf("index %+v: %v", m, err)
	}
	checkSigned(t, at+"/mirror/bpfmap-operator", image[1], public, 2)
	checkSigned(t, at+"/mirror/charts/bpfmap-operator", packed[1], public, 1)
	checkChart(t, at, out, image[1])
	other, err := oci.Signature([]byte("other"), "x")
	if err != nil {
		t.Fatal(err)
	}
	layout, err := oci.Layout([]oci.Tagged{{Repository: at + "/mirror/bpfmap-operator", Tag: "0.1.0", Content: other}}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oci.Push(t.Context(), layout, func(r string) string { return r }); err == nil || !strings.Contains(err.Error(), "a release isn't replaced") {
		t.Errorf("pushing something else under the tag: %v", err)
	}
}

// TestPage runs the blocks of docs/verify.md that say so, as one script, on a release and a registry with it.
func TestPage(t *testing.T) {
	key, public := keyFile(t)
	out := released(t, project(t), key)
	at := pushed(t, out)
	bin := t.TempDir()
	write(t, filepath.Join(bin, "helm"), "#!/bin/sh\nif [ \"$1\" = pull ]; then set -- \"$@\" --plain-http; fi\nexec "+tool(t, "helm")+" \"$@\"\n")
	if err := os.Chmod(filepath.Join(bin, "helm"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(out, "trusted.pub"), string(public))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	script := "set -eu\nVERSION=v0.1.0 KEY=trusted.pub REGISTRY=" + at + "\n" + shown(t, "docs/verify.md", "run by: hack/release TestPage", 3)
	said := execute(t, out, "sh", "-c", script)
	for _, want := range []string{"Verified OK", "install.yaml: OK", "vcs.modified=false", "@sha256:"} {
		if !strings.Contains(said, want) {
			t.Errorf("the page's commands print no %q:\n%s", want, said)
		}
	}
	write(t, filepath.Join(out, "install.yaml"), "# changed\n")
	c := exec.CommandContext(t.Context(), "sh", "-c", script)
	c.Dir = out
	if text, err := c.CombinedOutput(); err == nil || !strings.Contains(string(text), "install.yaml: FAILED") {
		t.Errorf("with another install.yaml: %v\n%s", err, text)
	}
}

// pushed is a registry with the release in a folder.
func pushed(t *testing.T, out string) (at string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	at = strings.TrimPrefix(server.URL, "http://") + "/mirror"
	if err := run(t.Context(), []string{"push", "-out", filepath.Dir(out), "-version", "v0.1.0", "-registry", at}, io.Discard); err != nil {
		t.Fatal(err)
	}
	return at
}

// shown is the blocks of a page that have a mark, as one script. There must be n of them.
func shown(t *testing.T, page, mark string, n int) (script string) {
	t.Helper()
	blocks := regexp.MustCompile("(?s)<!-- "+mark+" -->\n```sh\n(.*?)```").FindAllStringSubmatch(readFile(t, filepath.Join("../..", page)), -1)
	if len(blocks) != n {
		t.Fatalf("%s has %d blocks for this test, want %d", page, len(blocks), n)
	}
	for _, b := range blocks {
		script += b[1]
	}
	return script
}

// checkChart pulls the chart by Helm and looks for the image's digest in what it renders.
func checkChart(t *testing.T, at, out, image string) {
	helm, into := tool(t, "helm"), t.TempDir()
	execute(t, into, helm, "pull", "oci://"+at+"/mirror/charts/bpfmap-operator", "--version", "0.1.0", "--plain-http")
	got, err := os.ReadFile(filepath.Join(into, "bpfmap-operator-0.1.0.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := os.ReadFile(filepath.Join(out, "bpfmap-operator-0.1.0.tgz")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("helm pulled another chart: %v", err)
	}
	execute(t, into, helm, "lint", "bpfmap-operator-0.1.0.tgz")
	for _, text := range []string{execute(t, into, helm, "template", "x", "bpfmap-operator-0.1.0.tgz"), readFile(t, filepath.Join(out, "install.yaml"))} {
		if n := strings.Count(text, "ghcr.io/bpfmap-io/bpfmap-operator@"+image); n < 2 || n != strings.Count(text, "ghcr.io/bpfmap-io/bpfmap-operator") {
			t.Errorf("%d images have the digest %s", n, image)
		}
	}
	shown := execute(t, into, helm, "show", "chart", "bpfmap-operator-0.1.0.tgz")
	for _, want := range []string{"version: 0.1.0", "appVersion: 0.1.0", "The first release, of two lines.", "kind: fixed"} {
		if !strings.Contains(shown, want) {
			t.Errorf("helm show chart has no %q:\n%s", want, shown)
		}
	}
}

// checkSigned verifies the signature and the attestations that lie beside a digest, where and as cosign looks for them.
func checkSigned(t *testing.T, repository, digest string, public []byte, attestations int) {
	t.Helper()
	tag := repository + ":" + strings.Replace(digest, ":", "-", 1)
	blobs, annotations := layers(t, tag+".sig")
	if len(blobs) != 1 || !bytes.Contains(blobs[0], []byte(digest)) {
		t.Fatalf("%s.sig has %q", tag, blobs)
	}
	if err := sign.Verify(public, blobs[0], []byte(annotations[0]["dev.cosignproject.cosign/signature"])); err != nil {
		t.Error(err)
	}
	blobs, _ = layers(t, tag+".att")
	if len(blobs) != attestations {
		t.Errorf("%s.att has %d attestations, want %d", tag, len(blobs), attestations)
	}
	for _, b := range blobs {
		var e dsse.Envelope
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		if payload := opened(t, &e, public); !bytes.Contains(payload, []byte(strings.TrimPrefix(digest, "sha256:"))) {
			t.Errorf("%s.att is of something else: %s", tag, payload)
		}
	}
}

func layers(t *testing.T, tag string) (blobs [][]byte, annotations []map[string]string) {
	t.Helper()
	image, err := remote.Image(reference(t, tag))
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Layers {
		layer, err := image.LayerByDigest(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		r, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		blobs, annotations = append(blobs, content), append(annotations, d.Annotations)
	}
	return blobs, annotations
}

// verifier is for the DSSE library.
type verifier struct{ public []byte }

func (verifier) KeyID() (string, error)   { return "", nil }
func (verifier) Public() crypto.PublicKey { return nil }

// Verify holds data to a signature.
func (v verifier) Verify(_ context.Context, data, signature []byte) error {
	block, _ := pem.Decode(v.public)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), sum[:], signature) {
		return fmt.Errorf("not signed by the key")
	}
	return nil
}

// opened is the payload of an envelope that is signed.
func opened(t *testing.T, e *dsse.Envelope, public []byte) []byte {
	t.Helper()
	v, err := dsse.NewEnvelopeVerifier(verifier{public})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), e); err != nil {
		t.Errorf("verify an envelope: %v", err)
	}
	payload, err := e.DecodeB64Payload()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func reference(t *testing.T, text string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
