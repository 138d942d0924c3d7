// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
)

// fieldOwner is as whom the API server notes changes.
const fieldOwner = client.FieldOwner("kubectl-bpfmap")

// newRollout is the command rollout.
func newRollout(f *kube.Factory) *cobra.Command {
	c := &cobra.Command{
		Use:   "rollout",
		Short: "Watch, pause, resume and undo rollouts of a BPFMap",
		Long: `Watch, pause, resume and undo the rollout of a BPFMap's revisions, as kubectl rollout does for Deployments.

pause sets spec.rollout.paused, undo sets spec.rollbackTo, and resume takes them back.`,
	}
	c.AddCommand(newRolloutStatus(f), newPause(f), newResume(f), newUndo(f), newHistory(f))
	return c
}

func newPause(f *kube.Factory) *cobra.Command {
	return &cobra.Command{
		Use:               "pause MAP",
		Short:             "Keep further nodes from taking a new revision",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.CompleteMaps(nil),
		RunE: func(c *cobra.Command, args []string) error {
			writer, m, err := getNamed(c.Context(), f, args[0])
			if err != nil {
				return err
			}
			if isPaused(m) {
				return say(c, m, "is already paused")
			}
			if err := patchSpec(c.Context(), writer, m, map[string]any{"rollout": map[string]any{"paused": true}}); err != nil {
				return err
			}
			warnOfManagers(c.ErrOrStderr(), m)
			return say(c, m, "paused")
		},
	}
}

// What resume takes back.
const (
	onlyPaused     = "paused"
	onlyRollbackTo = "rollbackTo"
)

func newResume(f *kube.Factory) *cobra.Command {
	var only string
	c := &cobra.Command{
		Use:   "resume MAP",
		Short: "Take back what pause or undo set",
		Long: `Take back what pause or undo set: spec.rollout.paused, or spec.rollbackTo. If both are set, --only says which one.

After spec.rollbackTo is taken back, the entries of the spec and its sources make the next revision, with all edits
since: kubectl bpfmap diff shows which.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.CompleteMaps(nil),
		RunE: func(c *cobra.Command, args []string) error {
			writer, m, err := getNamed(c.Context(), f, args[0])
			if err != nil {
				return err
			}
			spec, said, err := resumption(m, only)
			if err != nil || spec == nil {
				if err == nil {
					err = say(c, m, said)
				}
				return err
			}
			if err := patchSpec(c.Context(), writer, m, spec); err != nil {
				return err
			}
			warnOfManagers(c.ErrOrStderr(), m)
			return say(c, m, said)
		},
	}
	c.Flags().StringVar(&only, "only", "", "take back only this one: "+onlyPaused+" or "+onlyRollbackTo)
	_ = c.RegisterFlagCompletionFunc("only", cobra.FixedCompletions([]string{onlyPaused, onlyRollbackTo}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// resumption is the change of the spec that takes back what pause or undo set, nil if neither did, and what to say.
func resumption(m *v1alpha1.BPFMap, only string) (spec map[string]any, said string, err error) {
	paused, back := isPaused(m), m.Spec.RollbackTo != ""
	if only != "" && only != onlyPaused && only != onlyRollbackTo {
		return nil, "", local.Usagef("--only %s: must be %s or %s", only, onlyPaused, onlyRollbackTo)
	}
	if only == "" && paused && back {
		return nil, "", fmt.Errorf("BPFMap %s/%s is paused, and rolled back to %s: say by --only which is to be taken back, %s or %s",
			m.Namespace, m.Name, m.Spec.RollbackTo, onlyPaused, onlyRollbackTo)
	}
	switch {
	case paused && only != onlyRollbackTo:
		return map[string]any{"rollout": map[string]any{"paused": nil}}, "resumed", nil
	case back && only != onlyPaused:
		return map[string]any{"rollbackTo": nil}, "resumed: the nodes follow the spec again, no longer revision " + m.Spec.RollbackTo, nil
	}
	return nil, "is neither paused nor rolled back: nothing to resume", nil
}

func newUndo(f *kube.Factory) *cobra.Command {
	var number int64
	var dryRun bool
	c := &cobra.Command{
		Use:   "undo MAP [--to-revision NUMBER]",
		Short: "Go back to the contents and settings of an earlier revision",
		Long: `Go back to the contents and settings of an earlier revision, by spec.rollbackTo: the one before the newest that differs from
it, or the one of --to-revision. It becomes a new revision, which goes to the nodes as any other does.

As long as spec.rollbackTo is set, edits of the spec's entries, and changes of its sources, have no effect. kubectl bpfmap
rollout resume takes it back. If a GitOps tool manages the BPFMap, set spec.rollbackTo there, too.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: f.CompleteMaps(nil),
		RunE: func(c *cobra.Command, args []string) error {
			writer, m, err := getNamed(c.Context(), f, args[0])
			if err != nil {
				return err
			}
			revisions, err := kube.ListRevisions(c.Context(), writer, m.Namespace, m.Name)
			if err != nil {
				return err
			}
			to, err := undoTarget(m, revisions, number)
			if err != nil {
				return err
			}
			if m.Spec.RollbackTo == to.Name {
				return say(c, m, "is already rolled back to "+to.Name)
			}
			if dryRun {
				return say(c, m, "would be rolled back to "+to.Name+" (kubectl bpfmap revision diff shows what that changes)")
			}
			if err := patchSpec(c.Context(), writer, m, map[string]any{"rollbackTo": to.Name}); err != nil {
				return err
			}
			warnOfManagers(c.ErrOrStderr(), m)
			if err := say(c, m, "rolled back to "+to.Name); err != nil {
				return err
			}
			c.PrintErrf("Edits of its entries and changes of its sources have no effect until: kubectl bpfmap rollout resume -n %s %s\n", m.Namespace, m.Name)
			return nil
		},
	}
	c.Flags().Int64Var(&number, "to-revision", 0, "number of the revision to go back to (default: the one before that differs)")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say which revision it would be")
	_ = c.RegisterFlagCompletionFunc("to-revision", f.CompleteRevisionNumbers)
	return c
}

// undoTarget is the revision to go back to: the one with a number, else the newest one before the present one that would
// change something and wasn't taken back itself.
func undoTarget(m *v1alpha1.BPFMap, revisions []v1alpha1.BPFMapRevision, number int64) (*v1alpha1.BPFMapRevision, error) {
	newest := latest(m, revisions)
	switch {
	case number < 0:
		return nil, local.Usagef("--to-revision %d: the numbers of revisions begin with 1", number)
	case newest == nil || number > 0:
		return find(m, revisions, number)
	}
	for i := range revisions {
		r := &revisions[i]
		if r.Spec.MapUID != string(m.UID) || r.Number() >= newest.Number() || r.Status.Rollout.RolledBack != "" {
			continue
		}
		if len(changes(r, newest)) > 0 {
			return r, nil
		}
	}
	return nil, fmt.Errorf("BPFMap %s/%s has no earlier revision that differs from %s: see kubectl bpfmap rollout history", m.Namespace, m.Name, newest.Name)
}

// getNamed is a client and the BPFMap that an argument names.
func getNamed(ctx context.Context, f *kube.Factory, arg string) (client.WithWatch, *v1alpha1.BPFMap, error) {
	c, namespace, name, err := f.Named(arg)
	if err != nil {
		return nil, nil, err
	}
	m, err := kube.GetMap(ctx, c, namespace, name)
	return c, m, err
}

// patchSpec changes fields of a BPFMap's spec, if it is still the one that was read: not one that was made anew.
func patchSpec(ctx context.Context, c client.Client, m *v1alpha1.BPFMap, spec map[string]any) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": m.UID}, "spec": spec})
	if err != nil {
		return fmt.Errorf("encode patch: %w", err)
	}
	target := &v1alpha1.BPFMap{}
	target.Namespace, target.Name = m.Namespace, m.Name
	err = c.Patch(ctx, target, client.RawPatch(types.MergePatchType, body), fieldOwner)
	return kube.Request{
		Verb: "patch", Resource: "bpfmaps", Group: v1alpha1.GroupVersion.Group, Namespace: m.Namespace, Name: m.Name, Purpose: "changing a rollout",
	}.Error(err)
}

func isPaused(m *v1alpha1.BPFMap) bool { return m.Spec.Rollout != nil && m.Spec.Rollout.Paused }

// say prints what kubectl prints of a change: "bpfmap.bpfmap.io/blocklist paused".
func say(c *cobra.Command, m *v1alpha1.BPFMap, what string) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), "bpfmap.bpfmap.io/%s %s\n", m.Name, what)
	return err
}

// gitOps are the field managers of tools that set back what others change.
var gitOps = []string{"argocd", "kustomize-controller", "helm-controller", "fleet"}

// warnOfManagers says that a tool may set the change back.
func warnOfManagers(errOut io.Writer, m *v1alpha1.BPFMap) {
	for i := range m.ManagedFields {
		manager := m.ManagedFields[i].Manager
		if slices.ContainsFunc(gitOps, func(tool string) bool { return strings.HasPrefix(manager, tool) }) {
			_, _ = fmt.Fprintf(errOut, "Warning: %s manages this BPFMap, and may set this back: change it there, too\n", manager) // only a warning
			return
		}
	}
}
