// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"regexp"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

const samples = "../../../config/samples"

// TestSamples applies every sample to this kernel, and again: all that it can do is made, and then unchanged.
// What it can't is NotSupported, with the kernel that is needed.
func TestSamples(t *testing.T) {
	bpffs := mountBPFFS(t)
	paths := []string{"-f", samples, "-f", samples + "/types"}
	set := manifest.Read(manifest.Options{Paths: []string{samples, samples + "/types"}})
	if len(set.Problems) > 0 || len(set.Manifests) < 25 {
		t.Fatalf("%d samples, %v", len(set.Manifests), set.Problems)
	}
	for _, word := range []string{"created", "unchanged"} {
		r := run(t, append([]string{"apply", "--bpffs", bpffs}, paths...)...)
		made := map[string]string{}
		for line := range strings.Lines(r.out) {
			name, outcome, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			made[name] = outcome
		}
		refused := 0
		for _, m := range set.Manifests {
			since := newest(t, m.Map.Spec)
			id := "bpfmap.bpfmap.io/" + m.Map.Namespace + "/" + m.Map.Name
			if !bpftest.Kernel(t).Before(since) {
				if !strings.HasPrefix(made[id], word) {
					t.Errorf("%s: %q, want %q", id, made[id], word)
				}
				continue
			}
			refused++
			want := regexp.MustCompile(`(?m)^Error: ` + regexp.QuoteMeta(id) + `: NotSupported: .*` + regexp.QuoteMeta(since.String()) + `.*spec\.nodeSelector`)
			if outcome, isMade := made[id]; isMade || !want.MatchString(r.errOut) {
				t.Errorf("%s needs %s, this is %s: made %q\n%s", id, since, bpftest.Kernel(t), outcome, r.errOut)
			}
		}
		if code := min(refused, 1); r.code != code || strings.Count(r.errOut, "Error: ") != refused {
			t.Errorf("exit code %d, want %d, and %d errors in\n%s", r.code, code, refused, r.errOut)
		}
	}
}

// newest is the release that brought what a map asks for.
func newest(t *testing.T, spec v1alpha1.BPFMapSpec) maptype.Kernel {
	t.Helper()
	typ := maptype.ByName(string(spec.Type))
	since := typ.Since
	for _, name := range spec.Flags {
		flag, known := maptype.FlagByName(string(name))
		if !known {
			t.Fatalf("flag %s isn't known", name)
		}
		if s := typ.FlagSince(flag); since.Before(s) {
			since = s
		}
	}
	return since
}
