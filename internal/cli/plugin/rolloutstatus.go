// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
)

// rewatch is how long to wait before a watch that ended is begun again.
const rewatch = time.Second

func newRolloutStatus(f *kube.Factory) *cobra.Command {
	var wait bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "status MAP",
		Short: "Wait until the newest revision is on all nodes",
		Long: `Wait until the newest revision is on all nodes, and say how far it is meanwhile. A rollout that has reached
spec.rollout.partition is complete; one that is paused is waited for.

Exit code 0 if it is complete; 1 if the spec isn't accepted, the rollout halted or was rolled back, nodes can't have the map
as declared, or --timeout is over. With --watch=false: how far it is now, with 0 while it is under way.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.CompleteMaps(nil),
		RunE: func(c *cobra.Command, args []string) error {
			reader, namespace, name, err := f.Named(args[0])
			if err != nil {
				return err
			}
			ctx := c.Context()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
				defer cancel()
			}
			w := waiter{c: reader, namespace: namespace, name: name, say: func(line string) error {
				_, err := fmt.Fprintln(c.OutOrStdout(), line)
				return err
			}}
			err = w.run(ctx, wait)
			if errors.Is(context.Cause(ctx), errTimeout) && err != nil {
				return fmt.Errorf("not complete after %s: %s", timeout, w.said)
			}
			return err
		},
	}
	c.Flags().BoolVarP(&wait, "watch", "w", true, "wait until it is complete")
	c.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait at most, for example 5m; 0 means for ever")
	return c
}

var errTimeout = errors.New("timed out")

// waiter waits for a rollout.
type waiter struct {
	c               client.WithWatch
	namespace, name string
	say             func(line string) error
	said            string
	uid             string
}

// run tells of the rollout until it is complete, or what it is now.
func (w *waiter) run(ctx context.Context, wait bool) error {
	for {
		m, err := kube.GetMap(ctx, w.c, w.namespace, w.name)
		if err != nil {
			return err
		}
		if done, err := w.look(m); done || err != nil || !wait {
			return err
		}
		if done, err := w.watch(ctx, m.ResourceVersion); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rewatch):
		}
	}
}

// look tells of one state of the BPFMap.
func (w *waiter) look(m *v1alpha1.BPFMap) (done bool, err error) {
	if w.uid == "" {
		w.uid = string(m.UID)
	}
	if w.uid != string(m.UID) {
		return true, fmt.Errorf("BPFMap %s/%s was deleted and made anew", w.namespace, w.name)
	}
	line, done, err := progress(m)
	if err != nil || line == w.said {
		return done, err
	}
	w.said = line
	return done, w.say(line)
}

// watch looks at each change until the rollout is done or the watch ends.
func (w *waiter) watch(ctx context.Context, version string) (done bool, err error) {
	options := &client.ListOptions{
		Namespace: w.namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", w.name), Raw: &metav1.ListOptions{ResourceVersion: version},
	}
	events, err := w.c.Watch(ctx, &v1alpha1.BPFMapList{}, options)
	if err != nil {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		return false, kube.Request{
			Verb: "watch", Resource: "bpfmaps", Group: v1alpha1.GroupVersion.Group, Namespace: w.namespace, Name: w.name, Purpose: "waiting for a rollout",
		}.Error(err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case event, ok := <-events.ResultChan():
			m, isMap := event.Object.(*v1alpha1.BPFMap)
			switch {
			case !ok || event.Type == watch.Error || !isMap:
				return false, nil // it is read again
			case event.Type == watch.Deleted:
				return true, fmt.Errorf("BPFMap %s/%s was deleted", w.namespace, w.name)
			}
			if done, err := w.look(m); done || err != nil {
				return done, err
			}
		}
	}
}

// progress is how far a map is, in a line, and whether it has come to its end. The error says why it never will without
// somebody's doing.
func progress(m *v1alpha1.BPFMap) (line string, done bool, err error) {
	s := &m.Status
	ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	accepted := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionAccepted)
	stalled := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionStalled)
	counts := fmt.Sprintf("%d of %d nodes updated, %d ready", s.Nodes.Updated, s.Nodes.Desired, s.Nodes.Ready)
	switch {
	case s.ObservedGeneration < m.Generation || ready == nil:
		return "Waiting for the controller to look at the newest spec…", false, nil
	case accepted != nil && accepted.Status == metav1.ConditionFalse:
		return "", true, fmt.Errorf("the spec isn't accepted (%s): %s", accepted.Reason, accepted.Message)
	case s.Rollout != nil && (s.Rollout.Phase == "Halted" || s.Rollout.Phase == "RolledBack"):
		return "", true, fmt.Errorf("the rollout of %s is %s: %s", s.Rollout.Revision, s.Rollout.Phase, s.Rollout.Message)
	case stalled != nil && stalled.Status == metav1.ConditionTrue:
		return "", true, fmt.Errorf("stalled (%s): %s", stalled.Reason, stalled.Message)
	case ready.Status == metav1.ConditionTrue && s.Rollout != nil && s.Rollout.Phase != "" && s.Rollout.Phase != "Complete" && ready.Reason != v1alpha1.ReasonPartitionReached:
		return "Waiting: " + counts + ": " + s.Rollout.Message, false, nil
	case ready.Status == metav1.ConditionTrue:
		return fmt.Sprintf("Revision %s is rolled out (%s): %s", s.UpdateRevision, ready.Reason, ready.Message), true, nil
	}
	return "Waiting: " + counts + ": " + ready.Message, false, nil
}
