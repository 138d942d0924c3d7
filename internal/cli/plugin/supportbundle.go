// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/discovery"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/bundle"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// maxLogLines is how many lines of a container's log are read, and maxLogPods of how many pods.
const (
	maxLogLines = 5000
	maxLogPods  = 100
)

// newSupportBundle is the command support-bundle.
func newSupportBundle(f *kube.Factory, version string) *cobra.Command {
	var file, operator string
	c := &cobra.Command{
		Use:   "support-bundle",
		Short: "Write an archive for those who are to help",
		Long: `Write an archive (tar.gz) of what tells how the operator and its maps are, to be given to those who are to help: BPFMaps,
their revisions without contents, the nodes' states, events, and the operator's pods, workloads and logs. A README in it says
what is in it.

Contents of Secrets, of maps with entries from Secrets, and credentials are not in it. What the caller may not read is named
in missing.txt.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "-" && terminal.Of(c.OutOrStdout()).IsTerminal() {
				return errors.New("standard output is a terminal: give the archive a file by --output")
			}
			b, err := collect(c.Context(), f, operator, version)
			if err != nil {
				return err
			}
			if file == "" {
				file = "bpfmap-support-" + b.Time.UTC().Format("20060102T150405Z") + ".tar.gz"
			}
			if file == "-" {
				return b.Write(raw{terminal.Of(c.OutOrStdout())})
			}
			if err := writeFile(file, b.Write); err != nil {
				return err
			}
			c.PrintErrf("Wrote %s: %s, %s, %s, %s.\n", file, text.Count(len(b.Maps), "BPFMap", "BPFMaps"), text.Count(len(b.States), "node", "nodes"),
				text.Count(len(b.Events), "event", "events"), text.Count(len(b.Logs), "log", "logs"))
			for _, m := range b.Missing {
				c.PrintErrf("Missing: %s\n", m)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "file to write, - for standard output (default bpfmap-support-TIME.tar.gz)")
	addOperatorFlag(c, &operator)
	return c
}

// raw writes bytes as they are, where nobody looks at them.
type raw struct{ out *terminal.Output }

func (w raw) Write(b []byte) (int, error) {
	if err := w.out.Control(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// writeFile writes a new file that only its owner may read; there is none after an error.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write support bundle: %w", err)
	}
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(name) // the error counts
	}
	return err
}

// collector reads what a bundle is made of.
type collector struct {
	*bundle.Bundle
	ctx context.Context
	c   client.Reader
}

func collect(ctx context.Context, f *kube.Factory, operator, version string) (*bundle.Bundle, error) {
	c, err := f.Client()
	if err != nil {
		return nil, err
	}
	config, err := f.RESTConfig()
	if err != nil {
		return nil, err
	}
	b := collector{&bundle.Bundle{Time: time.Now(), Versions: []string{"plugin: " + version}}, ctx, c}
	if server, err := discovery.NewDiscoveryClientForConfig(config); err == nil {
		info, err := server.ServerVersion()
		if b.missing("version of the cluster", err); err == nil {
			b.Versions = append(b.Versions, "kubernetes: "+info.GitVersion)
		}
	}
	if b.Maps, err = kube.ListMaps(ctx, c, ""); err != nil {
		b.missing("BPFMaps", err)
	}
	if b.States, err = kube.ListNodeStates(ctx, c); err != nil {
		b.missing("states of nodes", err)
	}
	if b.Revisions, err = kube.ListAllRevisions(ctx, c); err != nil {
		b.missing("revisions", err)
	}
	b.operator(operator)
	b.events()
	pods, err := corev1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	b.logs(pods)
	return b.Bundle, ctx.Err()
}

// missing notes what couldn't be read.
func (b *collector) missing(what string, err error) {
	if err != nil {
		b.Missing = append(b.Missing, what+": "+shorten(err))
	}
}

// operator reads the operator's own objects.
func (b *collector) operator(namespace string) {
	var deployments appsv1.DeploymentList
	err := b.c.List(b.ctx, &deployments, operatorLabels, client.InNamespace(namespace))
	b.missing("Deployments of the operator", kube.Request{Verb: "list", Resource: "deployments", Group: "apps", Namespace: namespace}.Error(err))
	var sets appsv1.DaemonSetList
	err = b.c.List(b.ctx, &sets, operatorLabels, client.InNamespace(namespace))
	b.missing("DaemonSets of the operator", kube.Request{Verb: "list", Resource: "daemonsets", Group: "apps", Namespace: namespace}.Error(err))
	var pods corev1.PodList
	err = b.c.List(b.ctx, &pods, operatorLabels, client.InNamespace(namespace))
	b.missing("pods of the operator", kube.Request{Verb: "list", Resource: "pods", Namespace: namespace}.Error(err))
	b.Deployments, b.DaemonSets, b.Pods = deployments.Items, sets.Items, pods.Items
	for i := range b.Deployments {
		b.images("Deployment "+b.Deployments[i].Name, &b.Deployments[i].Spec.Template.Spec)
	}
	for i := range b.DaemonSets {
		b.images("DaemonSet "+b.DaemonSets[i].Name, &b.DaemonSets[i].Spec.Template.Spec)
	}
}

func (b *collector) images(of string, spec *corev1.PodSpec) {
	for i := range spec.Containers {
		b.Versions = append(b.Versions, of+": "+spec.Containers[i].Image)
	}
}

// events reads those about our kinds, and those of the operator's namespaces.
func (b *collector) events() {
	read := func(what, namespace string, selector fields.Selector) {
		var list corev1.EventList
		err := b.c.List(b.ctx, &list, client.InNamespace(namespace), client.MatchingFieldsSelector{Selector: selector}, client.Limit(bundle.MaxEvents))
		b.missing(what, kube.Request{Verb: "list", Resource: "events", Namespace: namespace}.Error(err))
		b.Events = append(b.Events, list.Items...)
	}
	read("events of BPFMaps", "", fields.OneTermEqualSelector("involvedObject.kind", "BPFMap"))
	read("events of nodes' states", "", fields.OneTermEqualSelector("involvedObject.kind", "BPFNodeState"))
	done := map[string]bool{}
	for i := range b.Pods {
		if namespace := b.Pods[i].Namespace; !done[namespace] {
			done[namespace] = true
			read("events of the operator", namespace, fields.AndSelectors(
				fields.OneTermNotEqualSelector("involvedObject.kind", "BPFMap"), fields.OneTermNotEqualSelector("involvedObject.kind", "BPFNodeState")))
		}
	}
}

// logs reads the ends of the logs of the operator's pods.
func (b *collector) logs(pods corev1client.PodsGetter) {
	total := 0
	for i := range b.Pods {
		if i == maxLogPods || total >= bundle.MaxAllLogBytes {
			b.Missing = append(b.Missing, fmt.Sprintf("logs of %s: there are more than fit", text.Count(len(b.Pods)-i, "pod", "pods")))
			return
		}
		p := &b.Pods[i]
		for _, s := range p.Status.ContainerStatuses {
			for _, previous := range []bool{false, true} {
				if previous && s.RestartCount == 0 || b.ctx.Err() != nil {
					continue
				}
				log, err := readLog(b.ctx, pods, p, s.Name, previous)
				b.missing("log of pod "+p.Name, err)
				if len(log) > 0 {
					total += len(log)
					b.Logs = append(b.Logs, bundle.Log{Pod: p.Name, Container: s.Name, Previous: previous, Text: log})
				}
			}
		}
	}
}

func readLog(ctx context.Context, pods corev1client.PodsGetter, p *corev1.Pod, container string, previous bool) ([]byte, error) {
	lines, size := int64(maxLogLines), int64(bundle.MaxLogBytes)
	stream, err := pods.Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{Container: container, Previous: previous, TailLines: &lines, LimitBytes: &size}).Stream(ctx)
	if err != nil {
		return nil, kube.Request{Verb: "get", Resource: "pods/log", Namespace: p.Namespace, Name: p.Name}.Error(err)
	}
	defer func() { _ = stream.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(stream, size))
}
