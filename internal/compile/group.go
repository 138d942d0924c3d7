// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// group is the group that a map belongs to, nil for none. Which others do, nobody knows here.
func (c *compiler) group() *v1alpha1.RevisionGroup {
	name := c.spec.Group
	if name == "" {
		return nil
	}
	if msgs := validation.IsDNS1123Label(name); len(msgs) > 0 {
		c.problems.add("spec.group", "%q is not a DNS label: small letters, digits and '-', at most 63 characters, for example xdp-firewall", name)
	}
	return &v1alpha1.RevisionGroup{Name: name}
}
