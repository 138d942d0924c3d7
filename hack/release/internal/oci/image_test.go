// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDockerfile holds the image of a release to the Dockerfile's, which is for development.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(org\.opencontainers\.image\.\w+)="([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(m[2], "$") {
			found[m[1]] = m[2]
		}
	}
	if !maps.Equal(found, labels) {
		t.Errorf("labels of the Dockerfile:\n%v\nof a release:\n%v", found, labels)
	}
	for _, line := range []string{"USER " + user, `ENTRYPOINT ["` + entrypoint[0] + `"]`} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the Dockerfile has no line %q", line)
		}
	}
}
