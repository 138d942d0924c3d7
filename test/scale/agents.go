// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/agent"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// perConnection is how many agents share one connection, so that thousands fit into one process.
const perConnection = 20

// fleet is the nodes with their agents.
type fleet struct {
	env   *environment
	nodes []*node
}

// node is one node. Its kernel outlives its agent.
type node struct {
	name    string
	real    bool
	traffic Traffic
	memory  *enginetest.Memory
	thin    *thin
	cancel  context.CancelFunc
	done    chan struct{}
}

// newFleet makes the Nodes. Every tenth one has the label scale/tenth.
func newFleet(ctx context.Context, env *environment, count, realAgents int) (*fleet, error) {
	f := &fleet{env: env}
	for i := range count {
		f.nodes = append(f.nodes, &node{name: fmt.Sprintf("node-%05d", i), real: i < realAgents, memory: enginetest.NewMemory()})
	}
	return f, each(ctx, f.nodes, 16, func(ctx context.Context, n *node) error { return f.register(ctx, n) })
}

const labelTenth = "scale/tenth"

func (f *fleet) register(ctx context.Context, n *node) error {
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{"kubernetes.io/os": "linux", "kubernetes.io/hostname": n.name}}}
	if n.name[len(n.name)-1] == '0' {
		object.Labels[labelTenth] = "true"
	}
	if err := f.env.admin.Create(ctx, object); err != nil {
		return fmt.Errorf("create node: %w", err)
	}
	return f.setReady(ctx, n, true)
}

func (f *fleet) setReady(ctx context.Context, n *node, ready bool) error {
	object := &corev1.Node{}
	object.Name = n.name
	condition := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: metav1.Now()}
	if !ready {
		condition.Status, condition.Reason = corev1.ConditionUnknown, "NodeStatusUnknown"
	}
	// An update of the status would take the labels away, too.
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{condition}}})
	if err != nil {
		return err
	}
	if err := f.env.admin.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("write node's status: %w", err)
	}
	return nil
}

// start starts the agents of the given nodes at once.
func (f *fleet) start(ctx context.Context, nodes []*node) error {
	cfg, err := f.env.account("bpfmap-agent")
	if err != nil {
		return err
	}
	for i := 0; i < len(nodes); i += perConnection {
		if err := f.startGroup(ctx, cfg, nodes[i:min(i+perConnection, len(nodes))]); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) startGroup(ctx context.Context, cfg *rest.Config, nodes []*node) error {
	cfg = rest.CopyConfig(cfg)
	cfg.Dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext // connections are shared by what has the same
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		ctx, cancel := context.WithCancel(ctx)
		n.cancel, n.done = cancel, make(chan struct{})
		if !n.real {
			through := process.Considerate(counting{transport, &n.traffic})
			n.thin = newThin(n.name, &api{host: cfg.Host, client: &http.Client{Transport: through}})
			go func() {
				defer close(n.done)
				n.thin.run(ctx)
			}()
			continue
		}
		if err := f.startReal(ctx, cfg, n); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) startReal(ctx context.Context, cfg *rest.Config, n *node) error {
	own := rest.CopyConfig(cfg)
	own.UserAgent = userAgent
	own.Wrap(func(next http.RoundTripper) http.RoundTripper { return process.Considerate(counting{next, &n.traffic}) })
	a, err := agent.New(own, agent.Options{
		Options:  process.Options{MetricsBindAddress: process.Disabled, HealthProbeBindAddress: process.Disabled, Version: "scale"},
		NodeName: n.name, ResyncPeriod: time.Hour, Concurrency: 2, Host: host{n},
	})
	if err != nil {
		return err
	}
	go func() {
		defer close(n.done)
		_ = a.Start(ctx)
	}()
	return nil
}

// stop ends agents as when their pods are killed.
func (f *fleet) stop(nodes []*node) {
	for _, n := range nodes {
		if n.cancel != nil {
			n.cancel()
		}
	}
	for _, n := range nodes {
		if n.done != nil {
			<-n.done
		}
	}
}

// host is a node whose kernel is the engine's memory backend.
type host struct{ *node }

func (h host) Probe(context.Context) error { return nil }
func (h host) Open() (agent.Engine, error) { return engine.New(h.memory, engine.Options{}), nil }
func (h host) Moved() (bool, error)        { return false, nil }
func (h host) SystemCalls() uint64         { return 0 }
func (h host) WatchPins(context.Context, *agent.Pins, func(revision.Key, string)) error {
	return agent.ErrNotWatched
}
func (h host) PinnedMap(string) (uint32, error)                   { return 0, nil }
func (h host) WatchInterfaces(context.Context, func()) error      { return agent.ErrNotWatched }
func (h host) WatchMounts(context.Context, func()) error          { return agent.ErrNotWatched }
func (h host) Programs(context.Context) (*inuse.Inventory, error) { return inuse.New(nil, nil), nil }
func (h host) Inventory() (v1alpha1.NodeInventory, error)         { return v1alpha1.NodeInventory{}, nil }
func (h host) Facts() (agent.Facts, error) {
	return agent.Facts{KernelRelease: "6.18.0", BootID: "boot-" + h.name, PossibleCPUs: 2}, nil
}

// each calls do for all nodes, some at a time.
func each(ctx context.Context, nodes []*node, atOnce int, do func(context.Context, *node) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, n := range nodes {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if ctx.Err() == nil {
				if err := do(ctx, n); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
