// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import "github.com/prometheus/client_golang/prometheus"

// Component is which process serves a metric.
type Component string

// The components.
const (
	Agent      Component = "agent"
	Controller Component = "controller"
)

// Metric is one of this project's own metrics. Those of controller-runtime, client-go and the Go runtime are
// served beside them.
type Metric struct {
	Name string
	// Type is Prometheus': gauge, counter or histogram.
	Type string
	Help string
	// Labels are in the order in which the collectors give their values.
	Labels []string
	// Of are the components that serve it.
	Of []Component
	// PerMap says that each map has series of its own, within the bound.
	PerMap bool
}

func (m *Metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil) }

func (m *Metric) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
}

func (m *Metric) histogram(buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: buckets}, m.Labels)
}

const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

var (
	agent      = []Component{Agent}
	controller = []Component{Controller}
	both       = []Component{Agent, Controller}
)

var (
	buildInfo = Metric{
		Name: "bpfmap_build_info", Type: gauge, Of: both, Labels: []string{"component", "version", "goversion", "revision"},
		Help: "1, with what the process was built from.",
	}
	statusWrites = Metric{
		Name: "bpfmap_status_writes_total", Type: counter, Of: both, Labels: []string{"result"},
		Help: "Status writes to the API server, by result (written, conflict, failed).",
	}

	nodeMapState = Metric{
		Name: "bpfmap_node_map_state", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name", "state"},
		Help: "1 for the state that the map is in, 0 for the others: ready, pending, drifted (and not repaired), failed, stalled.",
	}
	nodeMapEntries = Metric{
		Name: "bpfmap_node_map_entries", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "Entries that the kernel holds, as the last look at the map found. No series for types that can't be counted.",
	}
	nodeMapMaxEntries = Metric{
		Name: "bpfmap_node_map_max_entries", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "The map's capacity, the kernel's max_entries.",
	}
	nodeMapFill = Metric{
		Name: "bpfmap_node_map_fill_ratio", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "Entries divided by capacity, from 0 to 1, of maps that refuse further entries when they are full. No series for LRU maps and arrays.",
	}
	nodeMapMemory = Metric{
		Name: "bpfmap_node_map_memory_bytes", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "Kernel memory of the map, as the kernel accounts it.",
	}
	nodeMapLook = Metric{
		Name: "bpfmap_node_map_last_look_timestamp_seconds", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "When this agent last compared the map with its revision and didn't fail. No series before the first time.",
	}
	nodeMapDrift = Metric{
		Name: "bpfmap_node_map_drift_total", Type: counter, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "Times that this agent found that the map differs from its applied revision.",
	}
	nodeMapUsed = Metric{
		Name: "bpfmap_node_map_used", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "1 if a program uses the map or another map holds it, 0 if none does any more, or programs use the map that was at the pin before, -1 if none was seen to, or that isn't known.",
	}
	nodeContentSeries = Metric{
		Name: "bpfmap_node_content_series", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "Series that this agent serves of the map's contents, by spec.metrics. No series for maps without it.",
	}
	nodeContentLeftOut = Metric{
		Name: "bpfmap_node_content_elements_left_out", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "Elements of the map that are in no metric, because there is no room for their series (spec.metrics.maxSeries, --metrics-content-series).",
	}
	nodeContentFailed = Metric{
		Name: "bpfmap_node_content_read_failed", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "1 if the map's contents couldn't be read as spec.metrics wants, so that none of its metrics is served; 0 if they could.",
	}
	nodeContentTook = Metric{
		Name: "bpfmap_node_content_read_seconds", Type: gauge, Of: agent, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "How long the last reading of the map's contents took.",
	}
	nodeMaps = Metric{
		Name: "bpfmap_node_maps", Type: gauge, Of: agent, Labels: []string{"state"},
		Help: "Managed maps of this node by state: ready, pending, drifted (and not repaired), failed, stalled.",
	}
	nodeMapsLeftOut = Metric{
		Name: "bpfmap_node_maps_left_out", Type: gauge, Of: agent,
		Help: "Managed maps of this node that have no series of their own, because there are more than --metrics-per-map.",
	}
	nodeMemory = Metric{
		Name: "bpfmap_node_memory_bytes", Type: gauge, Of: agent,
		Help: "Kernel memory of all managed maps of this node, as the kernel accounts it.",
	}
	nodeOldestLook = Metric{
		Name: "bpfmap_node_oldest_look_timestamp_seconds", Type: gauge, Of: agent,
		Help: "When the map that wasn't looked at for longest was looked at last, or this agent first knew of it. No series without maps.",
	}
	nodeResync = Metric{
		Name: "bpfmap_node_resync_period_seconds", Type: gauge, Of: agent,
		Help: "How often each map is to be looked at (--resync-period).",
	}

	syncs = Metric{
		Name: "bpfmap_sync_total", Type: counter, Of: agent, Labels: []string{"result"},
		Help: "Times that a map was compared with its revision, by result (ok, error, stalled).",
	}
	syncDuration = Metric{
		Name: "bpfmap_sync_duration_seconds", Type: histogram, Of: agent, Labels: []string{"action"},
		Help: "How long bringing one map to its revision took, by action (none if nothing was to be done).",
	}
	drift = Metric{
		Name: "bpfmap_drift_total", Type: counter, Of: agent, Labels: []string{"kind"},
		Help: "Times that a map was found to differ from its applied revision, by kind.",
	}
	chunkBytes = Metric{
		Name: "bpfmap_chunk_read_bytes_total", Type: counter, Of: agent,
		Help: "Bytes of packed entries that were read from the API server as chunks of large revisions.",
	}
	systemCalls = Metric{
		Name: "bpfmap_bpf_syscalls_total", Type: counter, Of: agent,
		Help: "Calls of bpf(2).",
	}

	clusterMapCondition = Metric{
		Name: "bpfmap_cluster_map_condition", Type: gauge, Of: controller, PerMap: true, Labels: []string{"namespace", "name", "type"},
		Help: "The BPFMap's conditions by type (ready, reconciling, stalled, accepted, drifted): 1 is True, 0 False, -1 Unknown.",
	}
	clusterMapNodes = Metric{
		Name: "bpfmap_cluster_map_nodes", Type: gauge, Of: controller, PerMap: true, Labels: []string{"namespace", "name", "state"},
		Help: "Nodes that are to have the BPFMap, by state (ready, pending, failed, unknown). Their sum is status.nodes.desired.",
	}
	clusterMapUpdated = Metric{
		Name: "bpfmap_cluster_map_updated_nodes", Type: gauge, Of: controller, PerMap: true, Labels: []string{"namespace", "name"},
		Help: "Nodes that hold the BPFMap's newest revision.",
	}
	clusterMapRollout = Metric{
		Name: "bpfmap_cluster_map_rollout", Type: gauge, Of: controller, PerMap: true, Labels: []string{"namespace", "name", "phase"},
		Help: "1, with the phase of the rollout of the BPFMap's newest revision (progressing, paused, halted, rolled_back, complete). No series before there is a revision.",
	}
	sourceLastGood = Metric{
		Name: "bpfmap_source_last_good_timestamp_seconds", Type: gauge, Of: controller, PerMap: true, Labels: []string{"namespace", "name", "source"},
		Help: "When contents of the source (\"0: ConfigMap feed, key drop.txt\") were read last that could be used: status.sources[].lastGoodTime. No series before the first ones.",
	}
	sourceRefused = Metric{
		Name: "bpfmap_source_refused", Type: gauge, Of: controller, PerMap: true, Labels: []string{"namespace", "name", "source"},
		Help: "1 if the newest contents of the source aren't used, and those of before stay; 0 if they are.",
	}
	clusterMaps = Metric{
		Name: "bpfmap_cluster_maps", Type: gauge, Of: controller, Labels: []string{"ready", "reason"},
		Help: "BPFMaps by status (true, false, unknown) and reason of their condition Ready. A reason that was seen once stays, with 0.",
	}
	clusterMapsLeftOut = Metric{
		Name: "bpfmap_cluster_maps_left_out", Type: gauge, Of: controller,
		Help: "BPFMaps that have no series of their own, because there are more than --metrics-per-map.",
	}
	clusterNodes = Metric{
		Name: "bpfmap_cluster_nodes", Type: gauge, Of: controller, Labels: []string{"ready"},
		Help: "BPFNodeStates by status (true, false, unknown) of their condition Ready: unknown are nodes whose Node or agent isn't Ready.",
	}
	clusterCRDs = Metric{
		Name: "bpfmap_cluster_crds_current", Type: gauge, Of: controller,
		Help: "1 if the cluster's CRDs have all fields of this controller's types, 0 if they don't or if that isn't known yet. At 0 the controller does nothing.",
	}
	compileDuration = Metric{
		Name: "bpfmap_compile_duration_seconds", Type: histogram, Of: controller, Labels: []string{"result"},
		Help: "How long compiling one BPFMap took, by result (accepted, rejected).",
	}
)

// Table are all metrics, in the order in which people read about them.
func Table() []Metric {
	return []Metric{
		nodeMapState, nodeMapEntries, nodeMapMaxEntries, nodeMapFill, nodeMapMemory, nodeMapLook, nodeMapDrift, nodeMapUsed,
		nodeContentSeries, nodeContentLeftOut, nodeContentFailed, nodeContentTook,
		nodeMaps, nodeMapsLeftOut, nodeMemory, nodeOldestLook, nodeResync,
		syncs, syncDuration, drift, chunkBytes, systemCalls,
		clusterMapCondition, clusterMapNodes, clusterMapUpdated, clusterMapRollout, sourceLastGood, sourceRefused,
		clusterMaps, clusterMapsLeftOut, clusterNodes, clusterCRDs, compileDuration,
		statusWrites, buildInfo,
	}
}
