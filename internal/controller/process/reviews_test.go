// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
)

// TestAudiences wants a token for agents alone to be reviewed as that first, every other one as one for the API server, and
// each for both: what a token says of itself decides nothing else.
func TestAudiences(t *testing.T) {
	claims := func(text string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(text)) + ".c2ln"
	}
	forAgents, forServer := []string{contents.Audience}, []string(nil)
	for token, isForAgents := range map[string]bool{
		claims(`{"aud":["` + contents.Audience + `"]}`):                    true,
		claims(`{"aud":["https://other","` + contents.Audience + `"]}`):    true,
		claims(`{"aud":"` + contents.Audience + `"}`):                      true,
		claims(`{"aud":["https://kubernetes.default.svc.cluster.local"]}`): false,
		claims(`{"aud":{"a":1}}`):                                          false,
		claims(`{"sub":"nobody"}`):                                         false,
		claims(`no JSON`):                                                  false,
		"e30.!.c2ln":                                                       false,
		"opaque":                                                           false,
		"":                                                                 false,
	} {
		want := [][]string{forServer, forAgents}
		if isForAgents {
			want = [][]string{forAgents, forServer}
		}
		if diff := cmp.Diff(want, audiencesOf(token)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", token, diff)
		}
	}
}
