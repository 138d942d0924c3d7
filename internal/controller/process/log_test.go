// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"strings"
	"testing"
)

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	l, err := Logger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	l.Info("Shown", "map", "edge/blocklist")
	l.V(1).Info("Hidden")
	if got := out.String(); !strings.Contains(got, `"map":"edge/blocklist"`) || strings.Contains(got, "Hidden") {
		t.Errorf("log is %q", got)
	}
	for _, bad := range [][2]string{{"loud", "text"}, {"info", "xml"}} {
		if _, err := Logger(&out, bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), "must be one of") {
			t.Errorf("Logger(%v) = %v, want an error that lists the valid ones", bad, err)
		}
	}
}
