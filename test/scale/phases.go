// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// patience bounds every wait.
const patience = 20 * time.Minute

// phase is a name for people to choose by, and what happens; until is what has then to come true. It returns
// the time until 99 % of the nodes had what changed, if something did.
type phase struct {
	name, title string
	run         func(*Bench, context.Context) (time.Duration, error)
}

// phases are in the order in which they run: each needs the ones marked so before it.
var phases = []phase{
	{"apply", "all maps are applied", (*Bench).apply},
	{"one", "one entry of one map changes, default rollout", func(b *Bench, ctx context.Context) (time.Duration, error) { return b.change(ctx, 1, "25%") }},
	{"one100", "one entry of one map changes, all nodes at once", func(b *Bench, ctx context.Context) (time.Duration, error) { return b.change(ctx, 1, "100%") }},
	{"all", "all maps change, default rollout", func(b *Bench, ctx context.Context) (time.Duration, error) { return b.change(ctx, b.Maps, "25%") }},
	{"steady", "nothing happens", (*Bench).steady},
	{"agents", "all agents restart", (*Bench).restartAgents},
	{"controller", "the controller restarts", (*Bench).restartController},
	{"failing", "1 % of the nodes fail", (*Bench).failing},
	{"flap", "all maps of one node flap, 15 times", (*Bench).flapMaps},
	{"nodeflap", "one Node flaps between Ready and NotReady, 20 times", (*Bench).flapNode},
	{"join", "a node joins", (*Bench).join},
	{"large", "a map of 100,000 entries is applied", (*Bench).applyLarge},
	{"largeone", "one of its entries changes", (*Bench).changeLarge},
}

// Phases are the names of all phases.
func Phases() []string {
	var names []string
	for _, p := range phases {
		names = append(names, p.name)
	}
	return names
}

// Run runs phases by their names, all if there are none, and tells of each when it is over.
func (b *Bench) Run(ctx context.Context, names []string, tell func(Figures)) error {
	if err := b.fleet.start(ctx, b.fleet.nodes); err != nil {
		return err
	}
	b.settled(ctx)
	for _, p := range phases {
		if p.name != "apply" && len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		f, err := b.Measure(ctx, func(ctx context.Context) (time.Duration, error) { return p.run(b, ctx) })
		if err != nil {
			return fmt.Errorf("%s: %w", p.title, err)
		}
		f.Phase = p.title
		tell(f)
	}
	return nil
}

// Measure is what something took until everything was at rest again.
func (b *Bench) Measure(ctx context.Context, what func(context.Context) (time.Duration, error)) (Figures, error) {
	before, err := b.snap(ctx)
	if err != nil {
		return Figures{}, err
	}
	for _, pid := range []int{b.env.controller.Process.Pid, b.env.plane.APIServerPID()} {
		if err := resetPeak(pid); err != nil {
			return Figures{}, fmt.Errorf("begin a new peak of memory: %w", err)
		}
	}
	toMost, err := what(ctx)
	if err != nil {
		return Figures{}, err
	}
	took := time.Since(before.at)
	b.settled(ctx)
	after, err := b.snap(ctx)
	if err != nil {
		return Figures{}, err
	}
	f := b.figures(before, after)
	f.ToMost, f.Took = toMost, took
	return f, nil
}

// spec is a map with n entries of 8 bytes, of which the first is as given.
func (b *Bench) spec(n, first int) v1alpha1.BPFMapSpec {
	text := fmt.Appendf(nil, "{type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: %d, entries: [", n+1)
	for i := range n {
		value := i
		if i == 0 {
			value = first
		}
		text = fmt.Appendf(text, "{key: %d, value: %d},", i, value)
	}
	var s v1alpha1.BPFMapSpec
	if err := yaml.Unmarshal(append(text, "]}"...), &s); err != nil {
		panic(err) // it is written right above
	}
	at := intstr.FromString("25%")
	s.Rollout = &v1alpha1.Rollout{MaxUnavailable: &at, MinReadySeconds: new(int32(0))}
	return s
}

func mapName(i int) string { return fmt.Sprintf("table-%03d", i) }

func (b *Bench) create(ctx context.Context, name string, spec v1alpha1.BPFMapSpec) error {
	m := &v1alpha1.BPFMap{Spec: spec}
	m.Namespace, m.Name = namespace, name
	return b.env.admin.Create(ctx, m)
}

// replaceEntries changes the first entry of a map, and how many nodes take that at a time. It returns the map's
// next generation.
func (b *Bench) replaceEntries(ctx context.Context, name, maxUnavailable string) (int64, error) {
	was := b.get(name)
	spec := b.spec(b.Entries, int(was.Generation)+1000)
	at := intstr.FromString(maxUnavailable)
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{
		"entries": spec.Entries, "rollout": map[string]any{"maxUnavailable": at},
	}})
	if err != nil {
		return 0, err
	}
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = namespace, name
	if err := b.env.admin.Patch(ctx, m, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return 0, err
	}
	return m.Generation, nil
}

func (b *Bench) apply(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	for i := range b.Maps {
		if err := b.create(ctx, mapName(i), b.spec(b.Entries, 0)); err != nil {
			return 0, err
		}
	}
	return b.reached(ctx, begin, b.Maps, func(int) int64 { return 1 })
}

// reached waits until the first n maps are Ready at a generation, and is the time until 99 % of the nodes
// had all of them.
func (b *Bench) reached(ctx context.Context, begin time.Time, n int, generation func(i int) int64) (toMost time.Duration, err error) {
	nodes := len(b.fleet.nodes)
	all := func(maps map[string]*v1alpha1.BPFMap, holds func(*v1alpha1.BPFMap, int) bool) bool {
		for i := range n {
			if m := maps[mapName(i)]; m == nil || m.Generation < generation(i) || !holds(m, nodes) {
				return false
			}
		}
		return true
	}
	if err := b.await(ctx, "99 % of the nodes", patience, func(m map[string]*v1alpha1.BPFMap) bool { return all(m, mostUpdated) }); err != nil {
		return 0, err
	}
	toMost = time.Since(begin)
	return toMost, b.await(ctx, "maps are Ready", patience, func(m map[string]*v1alpha1.BPFMap) bool { return all(m, isReady) })
}

// change changes one entry of each of the first n maps.
func (b *Bench) change(ctx context.Context, n int, maxUnavailable string) (time.Duration, error) {
	begin := time.Now()
	generations := make([]int64, n)
	for i := range n {
		var err error
		if generations[i], err = b.replaceEntries(ctx, mapName(i), maxUnavailable); err != nil {
			return 0, err
		}
	}
	return b.reached(ctx, begin, n, func(i int) int64 { return generations[i] })
}

func (b *Bench) get(name string) *v1alpha1.BPFMap {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.maps[name]
}

func (b *Bench) steady(ctx context.Context) (time.Duration, error) {
	wait(ctx, b.Steady)
	return 0, nil
}

func (b *Bench) restartAgents(ctx context.Context) (time.Duration, error) {
	b.fleet.stop(b.fleet.nodes)
	if err := b.fleet.start(ctx, b.fleet.nodes); err != nil {
		return 0, err
	}
	b.settled(ctx)
	return 0, nil
}

func (b *Bench) restartController(ctx context.Context) (time.Duration, error) {
	b.env.stopController()
	if err := b.env.startController(); err != nil {
		return 0, err
	}
	wait(ctx, 3*time.Second)
	b.untilIdle(ctx)
	return 0, nil
}

// untilIdle waits until the controller takes no more CPU time, at most a minute.
func (b *Bench) untilIdle(ctx context.Context) {
	for begin := time.Now(); time.Since(begin) < time.Minute && ctx.Err() == nil; {
		before, _ := usageOf(b.env.controller.Process.Pid)
		wait(ctx, time.Second)
		if after, _ := usageOf(b.env.controller.Process.Pid); after.cpu-before.cpu <= 10*time.Millisecond {
			return
		}
	}
}

// failing lets 1 % of the nodes fail on a change of all maps.
func (b *Bench) failing(ctx context.Context) (time.Duration, error) {
	some := b.thinNodes(max(1, len(b.fleet.nodes)/100))
	if len(some) == 0 {
		return 0, nil
	}
	for _, n := range some {
		n.thin.failOn("update element: no memory")
	}
	begin := time.Now()
	want, err := b.replaceEntries(ctx, mapName(0), "100%")
	if err != nil {
		return 0, err
	}
	err = b.await(ctx, "failures are told", patience, func(maps map[string]*v1alpha1.BPFMap) bool {
		m := maps[mapName(0)]
		return m.Status.ObservedGeneration >= want && int(m.Status.Nodes.Failed) == len(some) &&
			int(m.Status.Nodes.Updated) == len(b.fleet.nodes)-len(some)
	})
	took := time.Since(begin)
	for _, n := range some {
		n.thin.failOn("")
	}
	return took, err
}

// thinNodes are n nodes whose agent is thin.
func (b *Bench) thinNodes(n int) []*node {
	var some []*node
	for _, node := range b.fleet.nodes {
		if !node.real && len(some) < n {
			some = append(some, node)
		}
	}
	return some
}

func (b *Bench) flapMaps(ctx context.Context) (time.Duration, error) {
	for _, n := range b.thinNodes(1) {
		for i := range 30 {
			if err := n.thin.flap(ctx, i%2 == 0); err != nil {
				b.logf("the flapping node: %v", err)
			}
			wait(ctx, time.Second)
		}
	}
	return 0, nil
}

func (b *Bench) flapNode(ctx context.Context) (time.Duration, error) {
	for i := range 20 {
		if err := b.fleet.setReady(ctx, b.fleet.nodes[len(b.fleet.nodes)-1], i%2 == 1); err != nil {
			return 0, err
		}
		wait(ctx, time.Second)
	}
	return 0, nil
}

func (b *Bench) join(ctx context.Context) (time.Duration, error) {
	n := &node{name: fmt.Sprintf("node-%05d", len(b.fleet.nodes)), memory: b.fleet.nodes[0].memory}
	begin := time.Now()
	if err := b.fleet.register(ctx, n); err != nil {
		return 0, err
	}
	if err := b.fleet.start(ctx, []*node{n}); err != nil {
		return 0, err
	}
	b.fleet.nodes = append(b.fleet.nodes, n)
	// The map that failed before stays so.
	err := b.await(ctx, "maps are on the new node", patience, func(maps map[string]*v1alpha1.BPFMap) bool {
		for i := 1; i < b.Maps; i++ {
			if !isReady(maps[mapName(i)], len(b.fleet.nodes)) {
				return false
			}
		}
		return true
	})
	return time.Since(begin), err
}

const (
	largeName    = "large"
	largeEntries = 100_000
)

// source holds the entries of the large map, which are too many for a BPFMap: keys from the given one on.
func source(from int) *corev1.ConfigMap {
	var lines []byte
	for i := range largeEntries {
		lines = fmt.Appendf(lines, "%d\n", from+i)
	}
	c := &corev1.ConfigMap{Data: map[string]string{"lines": string(lines)}}
	c.Namespace, c.Name = namespace, largeName
	return c
}

// applyLarge applies a map of entries that come from ConfigMaps: a BPFMap itself can't hold so many.
func (b *Bench) applyLarge(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	s := v1alpha1.BPFMapSpec{}
	text := "{type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 100001, rollout: {minReadySeconds: 0}," +
		" entriesFrom: [{configMapRef: {name: large, key: lines}, format: Lines, value: 7}]}"
	if err := yaml.Unmarshal([]byte(text), &s); err != nil {
		return 0, err
	}
	if err := b.env.admin.Create(ctx, source(0)); err != nil {
		return 0, err
	}
	if err := b.create(ctx, largeName, s); err != nil {
		return 0, err
	}
	return b.largeReached(ctx, begin, "")
}

func (b *Bench) changeLarge(ctx context.Context) (time.Duration, error) {
	begin, was := time.Now(), b.get(largeName).Status.Digest
	if err := b.env.admin.Update(ctx, source(1)); err != nil {
		return 0, err
	}
	return b.largeReached(ctx, begin, was)
}

// largeReached waits until the large map is Ready with another digest than before.
func (b *Bench) largeReached(ctx context.Context, begin time.Time, was string) (toMost time.Duration, err error) {
	nodes := len(b.fleet.nodes)
	if err := b.await(ctx, "99 % of the nodes", patience, func(maps map[string]*v1alpha1.BPFMap) bool {
		m := maps[largeName]
		return mostUpdated(m, nodes) && m.Status.Digest != was
	}); err != nil {
		return 0, err
	}
	toMost = time.Since(begin)
	return toMost, b.await(ctx, "the large map is Ready", patience, func(maps map[string]*v1alpha1.BPFMap) bool { return isReady(maps[largeName], nodes) })
}
