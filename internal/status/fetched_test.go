// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestRefusedContentsAreNotGood keeps the time of the contents in use while what is fetched is refused: it is what
// alerts about old contents go by.
func TestRefusedContentsAreNotGood(t *testing.T) {
	used := metav1.NewTime(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	fetched := used.Add(time.Hour)
	for _, tt := range []struct {
		name    string
		refused *metav1.Time
		want    time.Time
	}{
		{"used", nil, fetched},
		{"refused", &used, used.Time},
	} {
		all := withFetches([]v1alpha1.SourceStatus{{LastGoodTime: &used, RefusedSince: tt.refused}}, []Fetched{{Good: fetched}})
		if len(all) != 1 || !all[0].LastGoodTime.Time.Equal(tt.want) {
			t.Errorf("%s: lastGoodTime is %v, want %v", tt.name, all[0].LastGoodTime, tt.want)
		}
	}
}
