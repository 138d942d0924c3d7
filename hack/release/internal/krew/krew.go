// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Package krew packs the kubectl plugin: an archive for each platform, and the manifest with their checksums.
package krew

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the manifest's template
	"encoding/hex"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/hack/release/internal/archive"
)

//go:embed bpfmap.yaml
var manifest string

// Binary is the plugin for one platform.
type Binary struct {
	OS, Arch string
	Content  []byte
}

// platform is what the manifest says of one.
type platform struct{ OS, Arch, Archive, SHA256 string }

// Pack makes the archives and bpfmap.yaml, the manifest. extra goes into each archive beside the binary, and is installed
// with it. All files of an archive have the time at.
func Pack(version string, binaries []Binary, extra []archive.File, at time.Time) ([]archive.File, error) {
	if !strings.HasPrefix(version, "v") {
		return nil, fmt.Errorf("version %q: krew wants it to begin with v", version)
	}
	t, err := template.New("bpfmap.yaml").Option("missingkey=error").Parse(manifest)
	if err != nil {
		return nil, fmt.Errorf("read the manifest's template: %w", err)
	}
	var out []archive.File
	var platforms []platform
	for _, b := range binaries {
		files := append([]archive.File{{Name: "kubectl-bpfmap", Mode: 0o755, Content: b.Content}}, extra...)
		packed, err := archive.TarGz(files, at)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(packed)
		p := platform{b.OS, b.Arch, fmt.Sprintf("kubectl-bpfmap_%s_%s_%s.tar.gz", version, b.OS, b.Arch), hex.EncodeToString(sum[:])}
		platforms = append(platforms, p)
		out = append(out, archive.File{Name: p.Archive, Mode: 0o644, Content: packed})
	}
	var text bytes.Buffer
	err = t.Execute(&text, struct {
		Version   string
		Platforms []platform
		Extra     []archive.File
	}{version, platforms, extra})
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return append(out, archive.File{Name: "bpfmap.yaml", Mode: 0o644, Content: text.Bytes()}), nil
}
