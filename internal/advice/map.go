// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import "github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"

// mapReasons are those of a BPFMap's conditions.
var mapReasons = []Advice{
	{Map, v1alpha1.ReasonReady, "all nodes hold the newest revision as declared", ""},
	{Map, v1alpha1.ReasonEarlierRevision, "`spec.rollbackTo` is set: the nodes hold the contents of an earlier revision, and edits of the entries don't reach them",
		"when the spec is right again, remove `spec.rollbackTo`: `kubectl bpfmap rollout resume MAP`"},
	{Map, v1alpha1.ReasonPartitionReached, "all nodes have the newest revision but those that `spec.rollout.partition` keeps back",
		"lower `spec.rollout.partition` to let the others follow"},
	{Map, v1alpha1.ReasonNoNodesSelected, "no node matches `spec.nodeSelector`, or no agent is to run on those that do",
		"compare `spec.nodeSelector` with `kubectl get nodes --show-labels`; if the map is to be on no node, set `spec.allowNoNodes`; `kubectl bpfmap why MAP NODE` names the label that differs"},
	{Map, v1alpha1.ReasonNodesUnknown, "of some nodes nothing is known: the Node isn't Ready, or no agent that is Ready runs there",
		"repair the node or its agent, or delete the Node object of a node that is gone; `kubectl bpfmap why MAP NODE` says what is missing"},
	{Map, v1alpha1.ReasonOperatorRemoved, "the operator was uninstalled, and nobody looks after the map any more; the nodes keep what they have",
		"install the operator again, or delete the map"},
	{Map, v1alpha1.ReasonProgressing, "nodes are taking the newest revision, or what is asked for waits for something that the message names",
		"wait: `kubectl bpfmap rollout status MAP`"},
	{Map, v1alpha1.ReasonPaused, "`spec.rollout.paused` keeps further nodes from taking the newest revision",
		"`kubectl bpfmap rollout resume MAP` to go on"},
	{Map, v1alpha1.ReasonHalted, "more nodes than `spec.rollout.maxFailed` failed on the newest revision, or became unavailable after they took it; no further node takes it",
		"repair these nodes, change the spec, raise `spec.rollout.maxFailed`, or go back: `kubectl bpfmap rollout undo MAP`"},
	{Map, v1alpha1.ReasonRolledBack, "too many nodes failed on the newest revision, and `spec.rollout.onFailure` is Rollback: all nodes are back on the one before",
		"change the spec: only a new revision continues; `kubectl bpfmap rollout history MAP` has the cause"},
	{Map, v1alpha1.ReasonReconcileSucceeded, "the controller has nothing left to do", ""},
	{Map, v1alpha1.ReasonReconcileFailed, "the controller's work failed, and is tried again",
		"read the message; if it stays, the log of the controller: `kubectl logs -n NAMESPACE -l app.kubernetes.io/component=controller`"},
	{Map, v1alpha1.ReasonNotAccepted, "the spec isn't accepted; nodes keep the last revision that was",
		"the condition Accepted has the reason, and its message the field and the value"},
	{Map, v1alpha1.ReasonNodesFailed, "nodes failed without a reason of their own", "`kubectl bpfmap why MAP NODE`, and the log of the node's agent"},
	{Map, v1alpha1.ReasonNodesStalled, "nodes can't have the map as declared until somebody changes something, and no other node has work left",
		"the message has what the nodes say; look up their reason"},
	{Map, v1alpha1.ReasonNotStalled, "nobody has to do anything", ""},
	{Map, v1alpha1.ReasonAccepted, "the spec compiled", ""},
	{Map, v1alpha1.ReasonInvalidSpec, "the spec doesn't compile", "the message names field, value and bound; `bpfmap validate -f FILE` says the same before it is applied"},
	{Map, v1alpha1.ReasonInvalidEntry, "an entry doesn't fit the schemas of key and value, or the map", "the message names the entry, or the line of the source; nodes keep the last good revision until it is corrected"},
	{Map, v1alpha1.ReasonInvalidSource, "a source of `spec.entriesFrom` is missing, can't be read, is empty, or changed more than its limits allow",
		"the message names source and limit; correct the source, set `spec.allowEmptySources`, or allow the change by the annotation that the message names"},
	{Map, v1alpha1.ReasonTooLarge, "the contents exceed a bound of what is stored", "the message names the bound; make the map smaller, or raise `controller.maxStoredBytesPerMap` of the chart"},
	{Map, v1alpha1.ReasonQuotaExceeded, "the revisions of all BPFMaps of the namespace would take more than they may",
		"delete maps that are not needed, lower their `spec.revisionHistoryLimit`, or raise `controller.maxStoredBytesPerNamespace` of the chart"},
	{Map, v1alpha1.ReasonNameConflict, "an object that isn't this BPFMap's has the name of its next revision or of a part of it", "delete or rename the object that the message names"},
	{Map, v1alpha1.ReasonInvalidGroup, "the BPFMaps of `spec.group` don't fit together", "give all the same `spec.nodeSelector`, and the group at most 32 BPFMaps"},
	{Map, v1alpha1.ReasonDrifted, "on some node the map differs from its revision, and `spec.driftPolicy` is Report",
		"find out who writes: `driftedEntries` of the map in the BPFNodeState has the first entries that differ; set `spec.driftPolicy: Repair` to have them set right"},
	{Map, v1alpha1.ReasonInSync, "no node reports drift", ""},
	{Map, v1alpha1.ReasonNotYetReported, "the nodes have yet to report", "wait; if it stays: `kubectl bpfmap why MAP`"},
	{Map, v1alpha1.ReasonInUse, "programs use the map on all nodes", ""},
	{Map, v1alpha1.ReasonUnused, "on some node no program uses the map any more, or programs use the one that was at the pin before",
		"load the program again, so that it opens the pin; after a replacement (`spec.replacePolicy: Swap`) programs keep the old map until then"},
	{Map, v1alpha1.ReasonNeverUsed, "on some node no program was seen to use the map",
		"check that the program's loader uses the pin (`status.pinPath`), and that the program runs there; nothing to do for maps that only processes read"},
	{Map, v1alpha1.ReasonUsageUnknown, "the agents can't tell whether programs use the map", "the message names the capability that they need; nothing to do if that doesn't matter"},
	{Map, v1alpha1.ReasonMetricsServed, "no agent says that it can't serve some of `spec.metrics`", ""},
	{Map, v1alpha1.ReasonMetricsLeftOut, "some of `spec.metrics` isn't served on some nodes: there are more series than there is room for, or the map can't be read within the bounds",
		"the message names nodes and bounds: use fewer labels, raise `spec.metrics.maxSeries` (or the chart's `metrics.contentSeries` for all maps of a node), or leave metrics of a map out that is this large"},
	{Map, v1alpha1.ReasonFetched, "the newest contents of all sources that are fetched are known", ""},
	{Map, v1alpha1.ReasonFetchFailed, "the last attempt to fetch a source failed; its last good contents stay in use", "the message has the cause, such as a status of HTTP, an address that isn't allowed, or a certificate; it is tried again"},
	{Map, v1alpha1.ReasonFetchPending, "a source hasn't been fetched yet", "wait for the first fetch; if it stays, the log of the controller"},
}

// rolloutReasons are those of status.rollout, as package rollout gives them.
var rolloutReasons = []Advice{
	{Rollout, "Updating", "nodes that were told to take the revision have yet to report that they hold it", "wait; nodes that take longer than `spec.rollout.progressDeadlineSeconds` count as failed"},
	{Rollout, "Soaking", "the nodes that were told to take the revision hold it, and have to do so for `spec.rollout.minReadySeconds` before the next ones follow", "wait"},
	{Rollout, "Paused", "`spec.rollout.paused` keeps further nodes from taking the revision", "`kubectl bpfmap rollout resume MAP`"},
	{Rollout, "PartitionReached", "as many nodes have the revision as `spec.rollout.partition` allows", "lower `spec.rollout.partition` to let the others follow"},
	{Rollout, "NodesFailed", "more nodes than `spec.rollout.maxFailed` failed on the revision", "repair these nodes, change the spec, or go back: `kubectl bpfmap rollout undo MAP`"},
	{Rollout, "RolledOut", "the rollout came to its end", ""},
}
