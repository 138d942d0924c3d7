// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// Command krew packs the kubectl plugin for krew: an archive for each platform, and the manifest with their checksums.
//
// Usage: krew VERSION OUTDIR OS/ARCH=BINARY...
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/util/version"
)

// platform is one that the plugin is packed for.
type platform struct{ OS, Arch, Archive, SHA256 string }

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: krew VERSION OUTDIR OS/ARCH=BINARY...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "krew:", err)
		os.Exit(1)
	}
}

func run(described, out string, binaries []string) error {
	number := semantic(described)
	text, err := os.ReadFile("hack/krew/bpfmap.yaml")
	if err != nil {
		return err
	}
	manifest, err := template.New("bpfmap.yaml").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var platforms []platform
	for _, arg := range binaries {
		name, binary, ok := strings.Cut(arg, "=")
		system, arch, ok2 := strings.Cut(name, "/")
		if !ok || !ok2 {
			return fmt.Errorf("%q is not OS/ARCH=BINARY", arg)
		}
		p := platform{OS: system, Arch: arch, Archive: fmt.Sprintf("kubectl-bpfmap_%s_%s_%s.tar.gz", number, system, arch)}
		archive, err := pack(binary)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(archive)
		p.SHA256 = hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(out, p.Archive), archive, 0o644); err != nil {
			return err
		}
		platforms = append(platforms, p)
	}
	var b bytes.Buffer
	err = manifest.Execute(&b, struct {
		Version   string
		Platforms []platform
	}{number, platforms})
	return errors.Join(err, os.WriteFile(filepath.Join(out, "bpfmap.yaml"), b.Bytes(), 0o644))
}

// semantic is a version as krew takes it. What git describes without a tag is only the name of a commit: it becomes a
// prerelease of v0.0.0, behind the g that git puts in front of such names, since digits alone can't begin with 0.
func semantic(described string) string {
	if _, err := version.ParseSemantic(described); err == nil {
		return "v" + strings.TrimPrefix(described, "v")
	}
	return "v0.0.0-g" + described
}

// pack is a gzipped tar of the binary under the plugin's name, and the licence. The same input makes the same bytes.
func pack(binary string) ([]byte, error) {
	var b bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(zipped)
	for _, f := range []struct {
		from, to string
		mode     int64
	}{{binary, "kubectl-bpfmap", 0o755}, {"LICENSE", "LICENSE", 0o644}} {
		content, err := os.ReadFile(f.from)
		if err != nil {
			return nil, err
		}
		if err := w.WriteHeader(&tar.Header{Name: f.to, Mode: f.mode, Size: int64(len(content)), ModTime: time.Unix(0, 0)}); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
