// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// The bounds of a bundle.
const (
	// MaxLogBytes bounds the log of one container, and MaxAllLogBytes those of all.
	MaxLogBytes    = 1 << 20
	MaxAllLogBytes = 32 << 20
	// MaxEvents is how many events are kept, the newest ones.
	MaxEvents = 5000
	// maxFile bounds any other file of a bundle.
	maxFile = 16 << 20
)

// Bundle is what an archive is made of. Write changes the objects.
type Bundle struct {
	Time time.Time
	// Versions are lines of "name: version".
	Versions []string

	Maps        []v1alpha1.BPFMap
	Revisions   []v1alpha1.BPFMapRevision
	States      []v1alpha1.BPFNodeState
	Events      []corev1.Event
	Pods        []corev1.Pod
	DaemonSets  []appsv1.DaemonSet
	Deployments []appsv1.Deployment
	// Logs are those of the operator's containers.
	Logs []Log
	// Missing says what couldn't be read, and why.
	Missing []string
}

// Log is the end of the log of a container.
type Log struct {
	// Pod, Container and Previous say whose: Previous is the container before its last restart.
	Pod, Container string
	Previous       bool
	Text           []byte
}

// Write writes the archive, a gzipped tar.
func (b *Bundle) Write(out io.Writer) error {
	zipped := gzip.NewWriter(out)
	w := &writer{tar: tar.NewWriter(zipped), time: b.Time, root: "bpfmap-support-" + b.Time.UTC().Format("20060102T150405Z")}
	secret := sensitive(b.Maps, b.Revisions)
	w.text("README.txt", []byte(b.readme()))
	w.text("versions.txt", []byte(strings.Join(b.Versions, "\n")+"\n"))
	if len(b.Missing) > 0 {
		w.text("missing.txt", []byte(strings.Join(b.Missing, "\n")+"\n"))
	}
	for i := range b.Maps {
		m := &b.Maps[i]
		if left := redactMap(m, secret[key{m.Namespace, m.Name}]); left > 0 {
			w.text(path.Join("bpfmaps", m.Namespace, m.Name+".note.txt"), []byte(text.Count(left, "entry is", "entries are")+" left out\n"))
		}
		w.object(path.Join("bpfmaps", m.Namespace, m.Name+".yaml"), m)
	}
	for i := range b.Revisions {
		r := &b.Revisions[i]
		redactRevision(r)
		w.object(path.Join("bpfmaprevisions", r.Namespace, r.Name+".yaml"), r)
	}
	for i := range b.States {
		redactState(&b.States[i], secret)
		w.object(path.Join("bpfnodestates", b.States[i].Name+".yaml"), &b.States[i])
	}
	b.operator(w)
	w.text("events.txt", b.events())
	if w.err == nil {
		w.err = w.tar.Close()
	}
	if w.err == nil {
		w.err = zipped.Close()
	}
	if w.err != nil {
		return fmt.Errorf("write support bundle: %w", w.err)
	}
	return nil
}

// operator writes the operator's own objects and logs.
func (b *Bundle) operator(w *writer) {
	for i := range b.Deployments {
		d := &b.Deployments[i]
		bare(&d.ObjectMeta)
		redactPod(&d.Spec.Template.Spec)
		w.object(path.Join("operator", "deployments", d.Namespace, d.Name+".yaml"), d)
	}
	for i := range b.DaemonSets {
		d := &b.DaemonSets[i]
		bare(&d.ObjectMeta)
		redactPod(&d.Spec.Template.Spec)
		w.object(path.Join("operator", "daemonsets", d.Namespace, d.Name+".yaml"), d)
	}
	for i := range b.Pods {
		p := &b.Pods[i]
		bare(&p.ObjectMeta)
		redactPod(&p.Spec)
		w.object(path.Join("operator", "pods", p.Namespace, p.Name+".yaml"), p)
	}
	total := 0
	for _, l := range b.Logs {
		name := l.Container + ".log"
		if l.Previous {
			name = l.Container + ".previous.log"
		}
		l.Text = l.Text[:min(len(l.Text), MaxLogBytes, MaxAllLogBytes-total)]
		total += len(l.Text)
		w.text(path.Join("operator", "logs", l.Pod, name), l.Text)
	}
}

// events are the newest ones, a line each, the oldest of them first.
func (b *Bundle) events() []byte {
	when := func(e *corev1.Event) time.Time {
		switch {
		case e.Series != nil:
			return e.Series.LastObservedTime.Time
		case !e.LastTimestamp.IsZero():
			return e.LastTimestamp.Time
		case !e.EventTime.IsZero():
			return e.EventTime.Time
		}
		return e.CreationTimestamp.Time
	}
	slices.SortStableFunc(b.Events, func(x, y corev1.Event) int { return when(&x).Compare(when(&y)) })
	var all []byte
	for i := max(0, len(b.Events)-MaxEvents); i < len(b.Events); i++ {
		e := &b.Events[i]
		all = fmt.Appendf(all, "%s %s %s %s/%s/%s %q\n", when(e).UTC().Format(time.RFC3339), e.Type, e.Reason,
			e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Message)
	}
	return all
}

// writer writes the files of an archive; the first error ends it.
type writer struct {
	tar  *tar.Writer
	time time.Time
	root string
	err  error
}

func (w *writer) object(name string, o any) {
	if w.err != nil {
		return
	}
	b, err := yaml.Marshal(o)
	if err != nil {
		w.err = err
		return
	}
	w.text(name, b)
}

// text writes a file, without credentials.
func (w *writer) text(name string, b []byte) {
	if w.err != nil {
		return
	}
	b = Scrub(b)
	if len(b) > maxFile {
		b = append(b[:maxFile:maxFile], fmt.Sprintf("\n[cut at %d bytes]\n", maxFile)...)
	}
	header := &tar.Header{Name: path.Join(w.root, name), Mode: 0o644, Size: int64(len(b)), ModTime: w.time}
	if w.err = w.tar.WriteHeader(header); w.err == nil {
		_, w.err = w.tar.Write(b)
	}
}

// readme says what is in the archive.
func (b *Bundle) readme() string {
	missing := "Everything that the command asks for could be read."
	if len(b.Missing) > 0 {
		missing = "What couldn't be read, and why, is in missing.txt."
	}
	return fmt.Sprintf(`Support bundle of bpfmap-operator, made by kubectl bpfmap support-bundle at %s.

versions.txt       versions of the plugin, the cluster and the operator's images
bpfmaps/           BPFMaps with their status (%d); at most %d inline entries each
bpfmaprevisions/   their revisions (%d), without what they hold
bpfnodestates/     what the nodes report (%d)
events.txt         events about BPFMaps and nodes' states, and of the operator's namespace
operator/          the operator's Deployments, DaemonSets and pods, and the end of their logs (at most %d KiB each)

%s

What is not in it: Secrets and ConfigMaps; entries of maps that take some from a Secret; what revisions hold; values of environment
variables; names, passwords and queries of URLs, tokens, and private keys ("%s" stands in their places).
What is in it: names of your nodes, namespaces and images, addresses, node labels' values that maps select by, URLs' hosts and
paths, and inline entries of other maps. Look through it before you give it away: tar xzf FILE.
`, b.Time.UTC().Format(time.RFC3339), len(b.Maps), maxEntries, len(b.Revisions), len(b.States), MaxLogBytes>>10, missing, redacted)
}
