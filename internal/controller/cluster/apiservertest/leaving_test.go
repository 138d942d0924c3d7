// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// label gives nodes another role.
func (c *crew) label(role string, nodes ...string) {
	c.t.Helper()
	for _, name := range nodes {
		await.Nil(c.t, limit, func() error {
			node := &corev1.Node{}
			if err := c.Get(c.t.Context(), client.ObjectKey{Name: name}, node); err != nil {
				return err
			}
			node.Labels["role"] = role
			return c.Update(c.t.Context(), node)
		})
	}
}

// have are the nodes that report the map.
func (c *crew) have() (nodes []string) {
	c.t.Helper()
	for _, node := range c.nodes {
		state, err := c.state(node)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(state.Status.Maps) > 0 {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// released are the nodes that may give up the map that they still have.
func (c *crew) released() (nodes []string) {
	c.t.Helper()
	for _, node := range c.have() {
		if state, err := c.state(node); err != nil {
			c.t.Fatal(err)
		} else if len(state.Status.Releases) > 0 {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// awaitHave waits until this many nodes have the map, and lets nodes follow.
func (c *crew) awaitHave(want int) {
	c.t.Helper()
	await.Nil(c.t, limit, func() error {
		c.follow()
		if n := len(c.have()); n != want {
			return fmt.Errorf("%d nodes have the map, want %d", n, want)
		}
		return nil
	})
}

// awaitReleased waits until this many nodes may give up the map that they have.
func (c *crew) awaitReleased(want int) {
	c.t.Helper()
	await.Nil(c.t, limit, func() error {
		if nodes := c.released(); len(nodes) != want {
			return fmt.Errorf("%v may give up the map, want %d nodes", nodes, want)
		}
		return nil
	})
}

// awaitNoReleases waits until no state speaks of releases any more.
func (c *crew) awaitNoReleases() {
	c.t.Helper()
	await.Nil(c.t, limit, func() error {
		for _, node := range c.nodes {
			if state, err := c.state(node); err != nil || len(state.Status.Releases) > 0 {
				return fmt.Errorf("node %s: releases %v, %w", node, state.Status.Releases, err)
			}
		}
		return nil
	})
}

// TestRelabelledNodesLeaveInBatches takes the label from four of five nodes at once, and then from the last one.
func TestRelabelledNodesLeaveInBatches(t *testing.T) {
	c := newCrew(t, 5, "  rollout: {maxUnavailable: 2, minReadySeconds: 1}\n")
	c.awaitPhase(rollout.Complete)
	c.label("other", c.nodes[:4]...)
	await.Nil(t, limit, func() error {
		if nodes := c.released(); len(nodes) > 2 {
			t.Errorf("%v may give up the map at the same time", nodes)
		}
		c.follow()
		if have := c.have(); len(have) != 1 {
			return fmt.Errorf("%v have the map", have)
		}
		return nil
	})
	if have := c.have(); !slices.Equal(have, c.nodes[4:]) {
		t.Errorf("%v have the map, want %s", have, c.nodes[4])
	}
	c.awaitNoReleases()

	// The last one keeps it.
	c.label("other", c.nodes[4])
	c.awaitMap(func(m *v1alpha1.BPFMap) error {
		if m.Status.Nodes.Desired != 0 {
			return fmt.Errorf("nodes %+v", m.Status.Nodes)
		}
		return nil
	})
	m := c.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.ReasonNoNodesSelected)
	if ready := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady); ready.Status != metav1.ConditionFalse || !strings.Contains(ready.Message, "set spec.allowNoNodes") {
		t.Errorf("condition %+v", ready)
	}
	c.follow()
	if have := c.have(); len(have) != 1 {
		t.Errorf("%v have the map", have)
	}
	// So it does if the spec changes, and nothing new reaches it.
	c.edit("blocklist", addEntry("192.0.2.3"))
	c.awaitMessage("selects no node: 1 node keeps the map", "spec.allowNoNodes")
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Entries, s.AllowNoNodes = s.Entries[:2], true })
	c.awaitHave(0)
	c.awaitNoReleases()
	c.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})
}

// TestPausedReleases keep the map on nodes whose labels changed, and labels that are put back end it.
func TestPausedReleases(t *testing.T) {
	c := newCrew(t, 2, "  rollout: {maxUnavailable: 1, minReadySeconds: 0, paused: true}\n")
	c.awaitPhase(rollout.Complete)
	c.label("other", c.nodes[0])
	c.awaitMap(func(m *v1alpha1.BPFMap) error {
		if m.Status.Nodes.Desired != 1 {
			return fmt.Errorf("nodes %+v", m.Status.Nodes)
		}
		return nil
	})
	if nodes := c.released(); len(nodes) > 0 {
		t.Errorf("%v may give up the map though the rollout is paused", nodes)
	}
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Rollout.Paused = false })
	c.awaitReleased(1)
	c.label(c.namespace, c.nodes[0])
	c.awaitNoReleases()
	c.awaitHave(2)
}

// TestSelectorOfNoNode is refused while nodes have the map, and looked at again when nodes change.
func TestSelectorOfNoNode(t *testing.T) {
	c := newCrew(t, 3, "  rollout: {minReadySeconds: 0}\n")
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.NodeSelector = map[string]string{"role": "egde-" + c.namespace} })
	m := c.awaitCondition("blocklist", v1alpha1.ConditionAccepted, v1alpha1.ReasonNoNodesSelected)
	if n := m.Status.Nodes; n.Desired != 3 || n.Ready != 3 {
		t.Errorf("nodes %+v", n)
	}
	c.awaitMessage("nodeSelector role=egde-" + c.namespace + " selects no node: 3 nodes keep the map; correct it, or set spec.allowNoNodes")
	c.awaitEvent("blocklist", v1alpha1.ReasonNoNodesSelected)
	c.awaitHave(3)
	// A node gets that label: the others leave as the rollout reaches them.
	c.label("egde-"+c.namespace, c.nodes[2])
	c.awaitHave(1)
	if have := c.have(); !slices.Equal(have, c.nodes[2:]) {
		t.Errorf("%v have the map, want %s", have, c.nodes[2])
	}
	c.awaitAllFollow()
	// To none, as somebody wants it.
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.NodeSelector, s.AllowNoNodes = map[string]string{"role": "none"}, true })
	c.awaitHave(0)
	m = c.awaitPhase(rollout.Complete)
	if !strings.HasPrefix(m.Status.Rollout.Message, "rolled out to") {
		t.Errorf("the rollout says %q", m.Status.Rollout.Message)
	}
}

// TestReleasesOfADeletedMap end with it.
func TestReleasesOfADeletedMap(t *testing.T) {
	c := newCrew(t, 2, "  rollout: {maxUnavailable: 1, minReadySeconds: 0}\n")
	c.awaitPhase(rollout.Complete)
	c.label("other", c.nodes[0])
	c.awaitReleased(1)
	if err := c.Delete(t.Context(), c.m); err != nil {
		t.Fatal(err)
	}
	c.awaitNoReleases()
}
