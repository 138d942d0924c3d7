// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

const (
	goodMap = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: m}
spec: {type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 1}]}
`
	badMap = `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: wrong}
spec: {type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 300}]}
`
)

// repository is a folder with manifests, good and bad ones.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"good/below/m.yaml": goodMap, "bad/m.yaml": badMap,
		"kustomized/m.yaml": goodMap, "kustomized/kustomization.yaml": "resources: [m.yaml]\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestAction runs the shell steps of action.yml as a runner does, with inputs as the workflow gives them.
func TestAction(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Name, Description, Author string
		Branding                  map[string]string
		Inputs                    map[string]struct{ Description, Default string }
		Runs                      struct {
			Using string
			Steps []struct {
				Name, Uses, Shell, Run string
				With, Env              map[string]string
			}
		}
	}
	if err := yaml.UnmarshalStrict(text, &action); err != nil {
		t.Fatal(err)
	}
	kubectl, err := controlplane.Tool("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	temp, dir := t.TempDir(), repository(t)
	run := func(inputs map[string]string) (string, error) {
		all := ""
		for _, step := range action.Runs.Steps {
			if step.Uses != "" {
				continue
			}
			cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "RUNNER_TEMP="+temp, "GITHUB_ACTION_PATH="+root, "PATH="+filepath.Dir(kubectl)+":"+os.Getenv("PATH"))
			for name, value := range step.Env {
				if input, ok := strings.CutPrefix(value, "${{ inputs."); ok {
					input = strings.TrimSuffix(input, " }}")
					if _, ok := action.Inputs[input]; !ok {
						t.Fatalf("the step %s takes the input %s, which the action doesn't have", step.Name, input)
					}
					value = inputs[input]
				}
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			out, err := cmd.CombinedOutput()
			all += string(out)
			if err != nil {
				return all, err
			}
		}
		return all, nil
	}
	for _, test := range []struct {
		inputs map[string]string
		fails  bool
		want   string
	}{
		{map[string]string{"path": "good/"}, false, "edge/m is valid"},
		{map[string]string{"path": "bad/\ngood/"}, true, "300 is out of range"},
		{map[string]string{"kustomize": "kustomized"}, false, "edge/m is valid"},
		{map[string]string{"kustomize": "good"}, true, "kustomization"},
		{map[string]string{"path": "good/", "args": "--cpus 4 --offline"}, false, "with 4 CPUs"},
		{nil, true, "one of path and kustomize is needed"},
	} {
		out, err := run(test.inputs)
		if (err != nil) != test.fails || !strings.Contains(out, test.want) {
			t.Errorf("inputs %v: %v, want it to fail: %t, and to print %q\n%s", test.inputs, err, test.fails, test.want, out)
		}
	}
}

// TestPreCommit runs the hook as pre-commit runs one of the language script: the entry, a file of the hook's repository, in
// the repository that uses it, with the arguments that the documentation gives it and no names of files.
func TestPreCommit(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".pre-commit-hooks.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		ID, Name, Description, Language, Entry, Files string
		PassFilenames                                 bool `json:"pass_filenames"`
		RequireSerial                                 bool `json:"require_serial"`
	}
	if err := yaml.UnmarshalStrict(text, &hooks); err != nil {
		t.Fatal(err)
	}
	if len(hooks) != 1 || hooks[0].ID != "bpfmap-validate" || hooks[0].Language != "script" || hooks[0].PassFilenames {
		t.Fatalf("hooks %+v", hooks)
	}
	dir := repository(t)
	for folder, fails := range map[string]bool{"good/": false, "bad/": true} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, hooks[0].Entry), "-R", "-f", folder)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); (err != nil) != fails || fails && !strings.Contains(string(out), "300 is out of range") {
			t.Errorf("%s: %v, want it to fail: %t\n%s", folder, err, fails, out)
		}
	}
}
