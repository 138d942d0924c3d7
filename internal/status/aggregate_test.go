// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

var (
	yesterday = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	today     = yesterday.AddDate(0, 0, 1)
)

const (
	uid    = "uid-blocklist"
	newest = "blocklist-3"
	older  = "blocklist-2"

	onlyLinux = "the agents' DaemonSet wants kubernetes.io/os=linux"
)

// input is a BPFMap at generation 4 with revision 3, and what its nodes say.
func input(states map[string]v1alpha1.NodeMap) Input {
	in := Input{
		Map: &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "blocklist", UID: uid, Generation: 4}},
		Revision: &v1alpha1.BPFMapRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: newest},
			Spec: v1alpha1.BPFMapRevisionSpec{
				Digest: "sha256:feed", EntryCount: 7, Pin: v1alpha1.Pin{Path: "bpfmap/edge/blocklist"},
			},
		},
		MapStates: states,
		Now:       today,
	}
	for name := range states {
		in.Nodes = append(in.Nodes, name)
	}
	return in
}

func mapState(revision string, state v1alpha1.NodeMapState, reason, message string) v1alpha1.NodeMap {
	entries := int64(7)
	return v1alpha1.NodeMap{
		Namespace: "edge", Name: "blocklist", UID: uid, Revision: revision, MapID: 42, Entries: &entries,
		State: state, Reason: reason, Message: message,
	}
}

func inSync() v1alpha1.NodeMap {
	return mapState(newest, v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, "")
}

func full() v1alpha1.NodeMap {
	return mapState(newest, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full (maxEntries 1024)")
}

func incompatible() v1alpha1.NodeMap {
	return mapState(newest, v1alpha1.NodeMapStalled, v1alpha1.NodeReasonIncompatible, "maxEntries: have 10, want 20")
}

func differs() v1alpha1.NodeMap {
	l := mapState(newest, v1alpha1.NodeMapReady, v1alpha1.NodeReasonDrifted, "1 entry changed: 10.0.0.0/8")
	l.Drifted = true
	return l
}

func frozen(l v1alpha1.NodeMap) v1alpha1.NodeMap {
	l.Frozen = true
	return l
}

// nodeGone and agentGone are since yesterday.
var (
	nodeGone  = liveness.Liveness{State: liveness.NodeUnknown, Since: yesterday, Message: "the Node isn't Ready"}
	agentGone = liveness.Liveness{State: liveness.AgentUnknown, Since: yesterday, Message: "the agent's pod isn't Ready"}
)

func gone(in Input, how liveness.Liveness, nodes ...string) Input {
	in.Gone = map[string]liveness.Liveness{}
	for _, name := range nodes {
		in.Gone[name] = how
	}
	return in
}

// rollingOut is revision 3 on the first of three nodes, and revision 2, of 5 entries, on the others.
func rollingOut(phase v1alpha1.RolloutPhase, message string) Input {
	before := mapState(older, v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, "")
	in := input(reports{"node-a": inSync(), "node-b": before, "node-c": before})
	in.Assigned = map[string]string{"node-b": older, "node-c": older}
	in.Rollout = &v1alpha1.RolloutStatus{Revision: newest, Phase: phase, Message: message}
	in.Map.Status.CurrentRevision, in.Entries = older, map[string]int64{older: 5, newest: 7}
	return in
}

// using is a map that n programs use.
func using(m v1alpha1.NodeMap, n int32) v1alpha1.NodeMap {
	m.Usage = &v1alpha1.MapUsage{State: v1alpha1.MapUsed, ProgramCount: n}
	return m
}

func unused(m v1alpha1.NodeMap, since time.Time) v1alpha1.NodeMap {
	m.Usage = &v1alpha1.MapUsage{State: v1alpha1.MapUnused, Since: metav1.NewTime(since)}
	return m
}

func untold(m v1alpha1.NodeMap) v1alpha1.NodeMap {
	m.Usage = &v1alpha1.MapUsage{State: v1alpha1.MapUsageUnknown, Message: "the agent may not look at programs: missing CAP_PERFMON"}
	return m
}

// another is a map in whose stead two programs use another one.
func another(m v1alpha1.NodeMap, kind v1alpha1.OtherMapKind, id int64) v1alpha1.NodeMap {
	m.Usage = m.Usage.DeepCopy()
	m.Usage.OtherMaps = []v1alpha1.OtherMap{{MapID: id, Kind: kind, Programs: []v1alpha1.MapProgram{{ID: 2 * id, Name: "xdp_block"}, {ID: 2*id + 1, Name: "xdp_count"}}}}
	return m
}

type reports = map[string]v1alpha1.NodeMap

// The verdicts of kstatus.
const (
	current    = "Current"
	inProgress = "InProgress"
	failed     = "Failed"
)

var cases = []struct {
	name    string
	in      func() Input
	kstatus string
}{
	{"ready", func() Input { return input(reports{"node-b": inSync(), "node-a": inSync()}) }, current},
	{"ready-and-frozen", func() Input { return input(reports{"node-a": frozen(inSync())}) }, current},
	{"frozen-on-one-of-two", func() Input { return input(reports{"node-a": frozen(inSync()), "node-b": inSync()}) }, current},
	{"no-nodes", func() Input { return input(nil) }, current},
	{"no-revision-yet", func() Input {
		in := input(nil)
		in.Revision = nil
		return in
	}, inProgress},
	{"no-report-yet", func() Input {
		in := input(nil)
		in.Nodes = []string{"node-b", "node-a"}
		return in
	}, inProgress},
	{"updating", func() Input {
		in := input(reports{"node-a": inSync(), "node-b": mapState(older, v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, "")})
		in.Map.Status.CurrentRevision = older
		return in
	}, inProgress},
	{"pending-with-message", func() Input {
		return input(reports{"node-a": mapState(newest, v1alpha1.NodeMapPending, v1alpha1.NodeReasonReferenceNotFound, "1 of 7 entries pending: interface eth7 not found")})
	}, inProgress},
	{"one-failed", func() Input { return input(reports{"node-a": inSync(), "node-b": full(), "node-c": inSync()}) }, inProgress},
	{"one-stalled", func() Input { return input(reports{"node-a": inSync(), "node-b": incompatible()}) }, failed},
	{"one-stalled-one-pending", func() Input {
		in := input(reports{"node-b": incompatible()})
		in.Nodes = []string{"node-a", "node-b"}
		return in
	}, inProgress},
	{"drifted", func() Input { return input(reports{"node-a": differs(), "node-b": inSync()}) }, inProgress},
	{"rejected-first-spec", func() Input {
		in := input(nil)
		in.Revision = nil
		in.Rejected = &Rejection{v1alpha1.ReasonInvalidEntry, "entries[1].value.action: 300 is out of range for u8 (0…255)"}
		return in
	}, failed},
	{"rejected-later-spec", func() Input {
		in := input(reports{"node-a": inSync(), "node-b": full()})
		in.Rejected = &Rejection{v1alpha1.ReasonTooLarge, "the entries pack to 1200000 bytes, more than 1048576"}
		return in
	}, failed},
	{"report-of-a-deleted-namesake", func() Input {
		l := inSync()
		l.UID = "uid-before"
		return input(reports{"node-a": l})
	}, inProgress},
	{"failure-before-the-spec-was-compiled", func() Input {
		in := input(reports{"node-a": inSync()})
		in.Map.Status.CurrentRevision = older
		in.Failure = &Failure{Message: "read ConfigMap edge/feed: connection refused", Outdated: true}
		return in
	}, inProgress},
	{"failure-while-cleaning-up", func() Input {
		in := input(reports{"node-a": inSync()})
		in.Failure = &Failure{Message: "delete revision blocklist-1: forbidden"}
		return in
	}, inProgress},
	{"failure-beside-a-rejected-spec", func() Input {
		in := input(reports{"node-a": inSync()})
		in.Rejected = &Rejection{v1alpha1.ReasonQuotaExceeded, "the revisions of namespace edge take 12 bytes"}
		in.Failure = &Failure{Message: "delete revision blocklist-1: forbidden"}
		return in
	}, failed},
	{"five-failed", func() Input {
		return input(reports{"n1": full(), "n2": full(), "n3": full(), "n4": full(), "n5": full()})
	}, inProgress},
	{"more-nodes-than-listed", func() Input {
		many := reports{}
		for i := range 40 {
			many[fmt.Sprintf("node-%02d", i)] = inSync()
		}
		many["node-38"] = full()
		many["node-39"] = mapState(older, v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, "")
		return input(many)
	}, inProgress},
	{"one-node-unknown", func() Input {
		return gone(input(reports{"node-a": inSync(), "node-b": inSync(), "node-c": full()}), nodeGone, "node-c")
	}, inProgress},
	{"unknown-beside-a-failure", func() Input {
		return gone(input(reports{"node-a": inSync(), "node-b": full(), "node-c": inSync()}), agentGone, "node-c")
	}, inProgress},
	{"unknown-beside-an-update", func() Input {
		in := gone(input(reports{"node-a": inSync(), "node-b": mapState(older, v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, ""), "node-c": inSync()}), agentGone, "node-c")
		in.Map.Status.CurrentRevision = older
		return in
	}, inProgress},
	{"all-nodes-unknown", func() Input {
		in := gone(input(reports{"node-a": inSync(), "node-b": inSync(), "node-c": inSync()}), nodeGone, "node-a", "node-b", "node-c")
		later := in.Gone["node-b"]
		later.Since = today
		in.Gone["node-b"] = later
		return in
	}, inProgress},
	{"unknown-for-ever", func() Input {
		return gone(input(reports{"node-a": inSync(), "node-b": inSync()}), liveness.Liveness{State: liveness.AgentUnknown, Message: "the agent has no pod"}, "node-b")
	}, inProgress},
	{"without-agent", func() Input {
		in := input(reports{"node-a": inSync(), "node-b": inSync()})
		in.WithoutAgent = map[string]string{"win-2": onlyLinux, "win-1": onlyLinux, "virtual": "the agents' DaemonSet wants type notin (virtual-kubelet)"}
		return in
	}, current},
	{"only-nodes-without-agent", func() Input {
		in := input(nil)
		in.WithoutAgent = map[string]string{"win-1": onlyLinux}
		return in
	}, current},
	{"partition-reached", func() Input {
		return rollingOut(phasePaused, "1 of 3 nodes updated, as many as spec.rollout.partition allows")
	}, current},
	{"partition-reached-one-unknown", func() Input {
		return gone(rollingOut(phasePaused, "1 of 3 nodes updated, as many as spec.rollout.partition allows"), nodeGone, "node-b")
	}, inProgress},
	{"paused", func() Input {
		in := rollingOut(phasePaused, "paused at 1 of 3 nodes (spec.rollout.paused)")
		in.Map.Spec.Rollout = &v1alpha1.Rollout{Paused: true}
		return in
	}, inProgress},
	{"halted-by-a-failure", func() Input {
		in := rollingOut(phaseHalted, "halted at 1 of 3 nodes: failed on node-a: map is full (maxEntries 1024); it goes on once no node fails (see spec.rollout.maxFailed), or with a new revision")
		in.MapStates["node-a"] = full()
		return in
	}, inProgress},
	{"halted-by-a-node-that-died", func() Input {
		return gone(rollingOut(phaseHalted, "halted at 1 of 3 nodes: failed on node-a: became unavailable after it took the revision: the Node isn't Ready; it goes on once no node fails (see spec.rollout.maxFailed), or with a new revision"), nodeGone, "node-a")
	}, inProgress},
	{"rolling-back", func() Input {
		in := rollingOut(phaseRolledBack, "rolled back after 1 of 3 nodes: failed on node-a: map is full (maxEntries 1024); a new revision is needed to go on")
		in.Assigned["node-a"] = older
		return in
	}, inProgress},
	{"rolled-back", func() Input {
		in := rollingOut(phaseRolledBack, "rolled back after 1 of 3 nodes: failed on node-a: map is full (maxEntries 1024); a new revision is needed to go on")
		in.Assigned["node-a"], in.MapStates["node-a"] = older, in.MapStates["node-b"]
		return in
	}, failed},
	{"between-two-batches", func() Input {
		return rollingOut("Progressing", "1 of 3 nodes updated, the next ones follow after 10s (minReadySeconds)")
	}, inProgress},
	{"soaking-after-the-last-batch", func() Input {
		in := input(reports{"node-a": inSync(), "node-b": inSync()})
		in.Map.Status.CurrentRevision, in.Entries = older, map[string]int64{older: 5, newest: 7}
		in.Rollout = &v1alpha1.RolloutStatus{Phase: "Progressing", Message: "all 2 nodes updated, complete after 10s (minReadySeconds)"}
		return in
	}, current},
	{"contents-of-an-earlier-revision", func() Input {
		in := input(reports{"node-a": inSync(), "node-b": inSync()})
		in.Map.Spec.RollbackTo = "blocklist-1"
		return in
	}, current},
	{"contents-of-an-earlier-revision-on-its-way", func() Input {
		in := input(reports{"node-a": inSync(), "node-b": mapState(older, v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, "")})
		in.Map.Spec.RollbackTo = "blocklist-1"
		return in
	}, inProgress},
	{"waiting-and-updating", func() Input {
		return input(reports{
			"node-a": mapState(newest, v1alpha1.NodeMapPending, v1alpha1.NodeReasonReferenceNotFound, "1 of 7 entries pending: interface eth7 not found"),
			"node-b": mapState(older, v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync, ""),
			"node-c": mapState(newest, v1alpha1.NodeMapPending, v1alpha1.NodeReasonReferenceNotFound, "1 of 7 entries pending: interface eth7 not found"),
		})
	}, inProgress},
	{"failures-of-several-kinds", func() Input {
		notReady := mapState(newest, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonNodeNotReady, "no BPF file system is mounted at /sys/fs/bpf")
		denied := mapState(newest, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonNotPermitted, "create map: not permitted")
		return input(reports{
			"n1": notReady, "n2": notReady, "n3": notReady, "n4": notReady, "n5": denied, "n6": full(), "n7": full(), "n8": inSync(),
			"n9": mapState(newest, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonSyncFailed, "bad address"),
		})
	}, inProgress},
	{"in-use", func() Input {
		return input(reports{"node-a": using(inSync(), 2), "node-b": using(inSync(), 2), "node-c": using(inSync(), 2)})
	}, current},
	{"unused-on-two-of-three-nodes", func() Input {
		return input(reports{"node-a": using(inSync(), 1), "node-b": unused(inSync(), yesterday), "node-c": unused(inSync(), today)})
	}, current},
	{"unused-everywhere", func() Input {
		return input(reports{"node-a": unused(inSync(), today), "node-b": unused(inSync(), today)})
	}, current},
	{"never-used-and-another-map-is", func() Input {
		m := unused(inSync(), today)
		m.Usage.State = v1alpha1.MapNeverUsed
		return input(reports{"node-a": another(m, v1alpha1.OtherMapSameName, 71), "node-b": another(m, v1alpha1.OtherMapSameName, 93), "node-c": m})
	}, current},
	{"programs-use-the-map-of-before", func() Input {
		return input(reports{
			"node-a": another(unused(inSync(), today), v1alpha1.OtherMapEarlier, 71), "node-b": another(unused(inSync(), today), v1alpha1.OtherMapEarlier, 93),
		})
	}, current},
	{"some-programs-use-the-map-of-before", func() Input {
		return input(reports{"node-a": another(using(inSync(), 1), v1alpha1.OtherMapEarlier, 71), "node-b": using(inSync(), 3)})
	}, current},
	{"usage-unknown", func() Input {
		return input(reports{"node-a": untold(inSync()), "node-b": untold(inSync()), "node-c": using(inSync(), 1)})
	}, current},
	{"usage-of-an-unknown-node", func() Input {
		return gone(input(reports{"node-a": using(inSync(), 1), "node-b": unused(inSync(), today)}), nodeGone, "node-b")
	}, inProgress},
	{"usage-told-by-one-of-two", func() Input {
		return input(reports{"node-a": using(inSync(), 1), "node-b": inSync()})
	}, current},
	{"leaving", func() Input {
		in := input(reports{"node-a": inSync()})
		in.Leaving = "1 node gives the map up, 2 follow"
		return in
	}, inProgress},
	{"withheld", func() Input {
		in := input(reports{"node-a": inSync()})
		in.Withheld = "no node matches nodeSelector any more, 1 node keeps the map: set spec.allowNoNodes to remove it"
		return in
	}, failed},
	{"transition-times", func() Input {
		in := input(reports{"node-a": inSync()})
		for _, c := range []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse},
			{Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue},
		} {
			c.LastTransitionTime = metav1.NewTime(yesterday)
			in.Map.Status.Conditions = append(in.Map.Status.Conditions, c)
		}
		return in
	}, current},
}

func TestAggregate(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := Aggregate(c.in())
			if k := kstatusOf(got); k != c.kstatus {
				t.Errorf("kstatus reads %s, want %s", k, c.kstatus)
			}
			equal(t, c.name+".yaml", got)
		})
	}
}

// kstatusOf applies kstatus's rules for objects with standard conditions.
func kstatusOf(s v1alpha1.BPFMapStatus) string {
	switch {
	case meta.IsStatusConditionTrue(s.Conditions, "Reconciling"):
		return inProgress
	case meta.IsStatusConditionTrue(s.Conditions, "Stalled"):
		return failed
	case meta.IsStatusConditionTrue(s.Conditions, "Ready"):
		return current
	}
	return inProgress
}

// TestClasses holds the one rule of what counts as failing against all that follows from it.
func TestClasses(t *testing.T) {
	for _, c := range []struct {
		m       v1alpha1.NodeMap
		class   Class
		failing bool
	}{
		{inSync(), ClassReady, false}, {full(), ClassFailed, true}, {incompatible(), ClassStalled, true}, {differs(), ClassDrifted, true},
		{mapState(newest, v1alpha1.NodeMapPending, "", ""), ClassPending, false},
		{v1alpha1.NodeMap{UID: uid, Revision: newest}, ClassPending, false},
	} {
		if got := ClassOf(&c.m); got != c.class || got.Failing() != c.failing {
			t.Errorf("%+v is of class %d, failing %t; want %d, %t", c.m, got, got.Failing(), c.class, c.failing)
		}
		if got := ClassAt(&c.m, uid, newest); got != c.class {
			t.Errorf("%+v is of class %d at its revision, want %d", c.m, got, c.class)
		}
		s := Aggregate(input(reports{"node-a": c.m}))
		if failing := s.Nodes.Failed == 1; failing != c.failing {
			t.Errorf("%+v: nodes are %+v, want failed: %t", c.m, s.Nodes, c.failing)
		}
		if failing := Summarize([]v1alpha1.NodeMap{c.m}).Failed == 1; failing != c.failing {
			t.Errorf("%+v counts as failed in a node's summary: %t", c.m, failing)
		}
		for why, got := range map[string]Class{
			"another BPFMap": ClassAt(&c.m, "uid-before", newest), "another revision": ClassAt(&c.m, uid, older), "no revision": ClassAt(&c.m, uid, ""),
		} {
			if got != ClassPending {
				t.Errorf("%+v is of class %d with regard to %s, want pending", c.m, got, why)
			}
		}
	}
}

// TestAggregateInvariants holds for any input, however odd.
func TestAggregateInvariants(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	choices := []func() v1alpha1.NodeMap{inSync, full, incompatible, differs, func() v1alpha1.NodeMap { return v1alpha1.NodeMap{} }}
	for range 500 {
		in := input(nil)
		in.MapStates = reports{}
		for i := range r.IntN(60) {
			name := fmt.Sprintf("node-%d", i)
			in.Nodes = append(in.Nodes, name)
			if r.IntN(4) > 0 {
				in.MapStates[name] = choices[r.IntN(len(choices))]()
			}
			if r.IntN(8) == 0 {
				in = gone(in, []liveness.Liveness{nodeGone, agentGone}[r.IntN(2)], append(slices.Collect(maps.Keys(in.Gone)), name)...)
			}
		}
		if phases := []v1alpha1.RolloutPhase{"", "Progressing", phasePaused, phaseHalted, phaseRolledBack, phaseComplete}; r.IntN(2) == 0 {
			in.Rollout = &v1alpha1.RolloutStatus{Phase: phases[r.IntN(len(phases))], Message: "on its way"}
		}
		if r.IntN(5) == 0 {
			in.Rejected = &Rejection{v1alpha1.ReasonInvalidSpec, strings.Repeat("é", r.IntN(40000))}
		}
		checkInvariants(t, in)
	}
}

func checkInvariants(t *testing.T, in Input) {
	t.Helper()
	s := Aggregate(in)
	n := s.Nodes
	if n.Desired != n.Ready+n.Failed+n.Pending+n.Unknown {
		t.Errorf("counts don't add up: %+v", n)
	}
	if meta.IsStatusConditionTrue(s.Conditions, "Reconciling") && meta.IsStatusConditionTrue(s.Conditions, "Stalled") {
		t.Error("Reconciling and Stalled are both True")
	}
	if meta.IsStatusConditionTrue(s.Conditions, "Ready") && kstatusOf(s) != current {
		t.Error("Ready is True but kstatus doesn't read Current")
	}
	if meta.IsStatusConditionTrue(s.Conditions, "Ready") && (n.Ready != n.Desired || n.Unknown > 0) {
		t.Errorf("Ready is True with nodes %+v", n)
	}
	if len(s.NodeStates) > v1alpha1.MaxNodeStates || !slices.IsSortedFunc(s.NodeStates, func(a, b v1alpha1.NodeMapStatus) int {
		return strings.Compare(a.Node, b.Node)
	}) {
		t.Errorf("nodeStates: %d nodes, bounded and sorted wanted", len(s.NodeStates))
	}
	for _, c := range s.Conditions {
		if c.Reason == "" || len(c.Message) > maxConditionMessage || c.ObservedGeneration != 4 {
			t.Errorf("condition %s: reason %q, %d bytes of message, generation %d", c.Type, c.Reason, len(c.Message), c.ObservedGeneration)
		}
	}
	again := in
	again.Map = in.Map.DeepCopy()
	again.Map.Status = s
	again.Now = in.Now.Add(time.Hour)
	slices.Reverse(again.Nodes)
	if diff := cmp.Diff(s, Aggregate(again)); diff != "" {
		t.Errorf("a second run with nothing new changes the status:\n%s", diff)
	}
}

// BenchmarkAggregate is one reconcile's share of a map on 5,000 nodes, of which a hundred failed.
func BenchmarkAggregate(b *testing.B) {
	in := input(nil)
	in.MapStates = reports{}
	for i := range 5000 {
		name := fmt.Sprintf("node-%04d", i)
		in.Nodes = append(in.Nodes, name)
		in.MapStates[name] = inSync()
		if i%50 == 0 {
			in.MapStates[name] = full()
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		Aggregate(in)
	}
}

func TestSummarize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 1023: "1023", 1024: "1Ki", 1536: "1.5Ki", 1 << 20: "1Mi", 13107200: "12.5Mi",
		1<<20 - 1: "1Mi", 3 << 30: "3Gi",
	} {
		got := Summarize([]v1alpha1.NodeMap{{State: v1alpha1.NodeMapReady, MemlockBytes: n}})
		if got.Memory != want || got.Ready != 1 || got.MemlockBytes != n {
			t.Errorf("Summarize of one map of %d bytes = %+v, want memory %q", n, got, want)
		}
	}
	got := Summarize([]v1alpha1.NodeMap{inSync(), full(), incompatible(), differs(), {State: v1alpha1.NodeMapPending}})
	if want := (v1alpha1.NodeSummary{Maps: 5, Ready: 1, Failed: 3, Memory: "0"}); got != want {
		t.Errorf("Summarize = %+v, want %+v", got, want)
	}
}

func equal(t *testing.T, name string, v any) {
	t.Helper()
	got, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join("testdata", name), string(got))
}
