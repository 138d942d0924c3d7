// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/local"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/plugin/kube"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/structured"
	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// rights is the help text for what a caller needs.
const rights = `
The contents come from the agents of the nodes, which are reached through the API server with your own kubeconfig. That
needs the right to get bpfmaps/contents in the BPFMap's namespace (cluster role "…-contents-reader"), to get and list
bpfnodestates ("…-contents-nodes"), and to forward ports to the agents' pods (role "…-contents-forward" in their
namespace). Maps at pins (--pin) need bpfnodestates/contents ("…-node-contents-reader").`

// Commands are those that read live contents. dial reaches the agents; nil is by forwarding ports.
func Commands(f *kube.Factory, dial Dial) []*cobra.Command {
	to := flags{factory: f, dial: dial}
	return []*cobra.Command{newDump(to), newGet(to), newCompare(to), newImport(to), newTop(to)}
}

// subject is the map that a command is about: a BPFMap's, or one at a pin.
type subject struct {
	flags
	pin string
}

func (s *subject) add(c *cobra.Command, nodes string) {
	s.flags.add(c, nodes)
	c.Flags().StringVar(&s.pin, "pin", "", "absolute path of the map's pin on the node, for maps that no BPFMap manages")
	c.ValidArgsFunction = s.factory.CompleteMaps(nil)
}

// key is the BPFMap that args name, as NAME or NAMESPACE/NAME; nothing with --pin.
func (s *subject) key(args []string) (revision.Key, error) {
	if (len(args) == 1) == (s.pin != "") {
		return revision.Key{}, local.Usagef("either the name of a BPFMap, or --pin, is required")
	}
	if s.pin != "" {
		return revision.Key{}, nil
	}
	return keyOf(s.factory, args[0])
}

func keyOf(f *kube.Factory, name string) (revision.Key, error) {
	namespace, rest, found := strings.Cut(name, "/")
	if !found {
		var err error
		rest = name
		if namespace, err = f.Namespace(); err != nil {
			return revision.Key{}, err
		}
	}
	key := revision.Key{Namespace: namespace, Name: rest}
	return key, key.Check()
}

// open connects to the nodes, those with the map if none was named.
func (s *subject) open(c *cobra.Command, key revision.Key) (*cluster, error) {
	all, err := s.connect(c.Context())
	if err != nil {
		return nil, err
	}
	switch {
	case len(s.nodes) > 0:
	case s.pin != "":
		return nil, local.Usagef("--pin: on which node, --node has to say")
	default:
		all.with(key)
		if len(all.states) == 0 {
			return nil, fmt.Errorf("no node has the map of BPFMap %s: see kubectl bpfmap status, or name a node with --node", key)
		}
	}
	return all, nil
}

// one is the only node, where the output is that of one node.
func (s *subject) one(all *cluster) (string, error) {
	names := all.names()
	if len(names) != 1 {
		return "", fmt.Errorf("%s have this map: choose one with --node", nodeList(names))
	}
	return names[0], nil
}

// exit is the error of a command that printed why nodes failed.
func exit(c *cobra.Command, failed []failure, code int) error {
	printFailures(c, failed)
	if len(failed) > 0 {
		return &local.ExitError{Code: code}
	}
	return nil
}

func newDump(f flags) *cobra.Command {
	s := subject{flags: f}
	var format string
	var nonZero bool
	c := &cobra.Command{
		Use:   "dump (NAME | --pin PATH) [--node NODE]...",
		Short: "Print what a map holds on a node, as bpfmap dump does there",
		Long: `Print what a map holds in the kernel of a node, or of several: typed as the BPFMap says, or by the map's BTF, as
bpfmap dump prints it on the node itself. Without --node the BPFMap has to be on one node alone.
` + rights,
		Example: `  kubectl bpfmap dump -n edge blocklist --node worker-1
  kubectl bpfmap dump edge/blocklist --node worker-1,worker-2 -o yaml
  kubectl bpfmap dump --pin /sys/fs/bpf/xdp-filter/filter_ipv4 --node worker-1 --nonzero`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := s.key(args)
			if err != nil {
				return err
			}
			all, err := s.open(c, key)
			if err != nil {
				return err
			}
			defer all.close()
			if len(s.nodes) == 0 {
				if _, err := s.one(all); err != nil {
					return err
				}
			}
			q := &contents.Question{What: contents.Elements, Key: key, Pin: s.pin, Format: format, NonZero: nonZero}
			return dump(c, all, q)
		},
	}
	s.add(c, "node to read from (repeatable)")
	structured.AddFlag(c, &format, structured.Text, structured.JSON, structured.YAML, structured.Hex)
	c.Flags().BoolVar(&nonZero, "nonzero", false, "leave out elements whose value is all zeros; the output says how many")
	return c
}

// dump prints node by node, and reads ahead. Each may take as long as its map takes: only the first byte is waited for with a
// timeout.
func dump(c *cobra.Command, all *cluster, q *contents.Question) error {
	out, names := screen(c), all.names()
	list := q.Format == "json" && len(names) > 1
	if list {
		out.Printf("[")
	}
	begun := 0
	failed := all.inOrder(c.Context(), names, q, func(name string) *firstByte {
		return &firstByte{out: out, before: func() {
			switch {
			case list && begun > 0:
				out.Printf(",")
			case q.Format != "json" && len(names) > 1:
				separator := ""
				if q.Format == "yaml" {
					separator = "---\n"
				} else if begun > 0 {
					separator = "\n"
				}
				out.Printf("%s# %s on node %s\n", separator, q.Subject(), name)
			}
			begun++
		}}
	})
	if list {
		out.Printf("]\n")
	}
	return exit(c, failed, 1)
}

// firstByte tells when an answer begins.
type firstByte struct {
	out    io.Writer
	before func()
	begun  func()
}

// Write writes a part.
func (w *firstByte) Write(p []byte) (int, error) {
	if w.before != nil {
		w.before()
		w.before = nil
	}
	if w.begun != nil {
		w.begun()
		w.begun = nil
	}
	return w.out.Write(p)
}

// stream asks one node for an answer of any length: the timeout is for its first byte.
func (c *cluster) stream(ctx context.Context, name string, q *contents.Question, w *firstByte) *failure {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waits := time.AfterFunc(c.timeout, func() { cancel(fmt.Errorf("no answer within %s (--node-timeout)", c.timeout)) })
	defer waits.Stop()
	w.begun = func() { waits.Stop() }
	failed := c.eachFor(ctx, contents.AnswerWithin, []string{name}, func(ctx context.Context, a *agent) error { return a.ask(ctx, q, w) })
	if len(failed) == 0 {
		return nil
	}
	return &failed[0]
}

func newGet(f flags) *cobra.Command {
	s := subject{flags: f}
	var format string
	var key []string
	c := &cobra.Command{
		Use:   "get (NAME | --pin PATH) --key KEY [--node NODE]...",
		Short: "Print the value of one key on the nodes",
		Long: `Print the value of one key in the kernels of nodes: of those that are named, or of all that have the BPFMap's map. A key is
written as in the manifest, or as TYPE:TEXT; several parts are put together. Nodes whose map doesn't have the key are named on
standard error, and the exit code is 1.
` + rights,
		Example: `  kubectl bpfmap get -n edge blocklist --key 203.0.113.0/24
  kubectl bpfmap get edge/blocklist --key 203.0.113.0/24 --node worker-1 -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			of, err := s.key(args)
			if err != nil {
				return err
			}
			all, err := s.open(c, of)
			if err != nil {
				return err
			}
			defer all.close()
			q := &contents.Question{What: contents.Element, Key: of, Pin: s.pin, Format: format, Parts: key}
			if format == structured.YAML {
				q.Format = structured.JSON // which the YAML is made of
			}
			return get(c, all, q, format)
		},
	}
	s.add(c, "node to ask (repeatable; default all that have the map)")
	structured.AddFlag(c, &format, structured.Text, structured.JSON, structured.YAML, structured.Hex)
	c.Flags().StringArrayVarP(&key, "key", "k", nil, "key, or a part of it; none for queues and stacks, of which the next element is shown")
	return c
}

// get prints a line for each node, in their order; of one node its value alone.
func get(c *cobra.Command, all *cluster, q *contents.Question, format string) error {
	names := all.names()
	values := newAnswers[string](len(names))
	failed := all.each(c.Context(), names, func(ctx context.Context, a *agent) error {
		var b bounded
		if err := a.ask(ctx, q, &b); err != nil {
			return err
		}
		values.put(a.node, strings.TrimRight(string(b.bytes), "\n"))
		return nil
	})
	if structured.IsDocument(format) {
		if err := structured.Print(screen(c), format, elementsDocument(names, values, failed)); err != nil {
			return err
		}
		return exit(c, failed, 1)
	}
	out := screen(c)
	for _, name := range names {
		value, ok := values.get(name)
		switch {
		case !ok:
		case len(names) == 1:
			out.Printf("%s\n", value)
		default:
			out.Printf("%s: %s\n", name, value)
		}
	}
	return exit(c, failed, 1)
}

// nodeElement is the element of a node, for -o json.
type nodeElement struct {
	Node    string          `json:"node"`
	Element json.RawMessage `json:"element"`
}

// elementsDocument is what get prints for programs.
func elementsDocument(names []string, values *answers[string], failed []failure) any {
	document := struct {
		Nodes  []nodeElement `json:"nodes"`
		Failed []failure     `json:"failed,omitempty"`
	}{[]nodeElement{}, failed}
	for _, name := range names {
		if value, ok := values.get(name); ok {
			document.Nodes = append(document.Nodes, nodeElement{name, json.RawMessage(value)})
		}
	}
	return document
}

func newImport(f flags) *cobra.Command {
	s := subject{flags: f}
	var file, name, format string
	var entries bool
	var limit int
	c := &cobra.Command{
		Use:   "import (NAME | --pin PATH) [--node NODE]",
		Short: "Write a BPFMap for a map of a node, also one nobody manages",
		Long: `Write a BPFMap that adopts a map which a node has and changes nothing, as bpfmap generate does on the node itself: its type,
sizes and flags, types as its record or its BTF says (agents read BTF with agent.verifySchemas.enabled alone; hex elsewhere), and
with --entries its contents. Nothing is changed in the cluster.
` + rights,
		Example: `  kubectl bpfmap import --pin /sys/fs/bpf/xdp-filter/filter_ipv4 --node worker-1 -n edge --entries > filter.yaml
  kubectl bpfmap import edge/sessions --node worker-1 --entries`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if limit < 1 || limit > contents.MaxLimit {
				return local.Usagef("--limit %d: must be between 1 and %d, which is what a BPFMap holds inline", limit, contents.MaxLimit)
			}
			key, err := s.key(args)
			if err != nil {
				return err
			}
			q := &contents.Question{What: contents.Manifest, Key: key, Pin: s.pin, Entries: entries, Limit: limit, As: name}
			if s.pin != "" {
				if q.Into, err = f.factory.Namespace(); err != nil {
					return err
				}
			}
			all, err := s.open(c, key)
			if err != nil {
				return err
			}
			defer all.close()
			return importMap(c, &s, all, q, file, format)
		},
	}
	s.add(c, "node to read from")
	c.Flags().StringVar(&file, "output-file", "", "write to this file instead of standard output")
	structured.AddFlag(c, &format, structured.YAML, structured.JSON)
	c.Flags().StringVar(&name, "name", "", "name of the BPFMap (default that of its pin, or the kernel's)")
	c.Flags().BoolVar(&entries, "entries", false, "write the map's contents, too")
	c.Flags().IntVar(&limit, "limit", contents.MaxLimit, "the most entries that --entries writes")
	return c
}

// importMap writes the manifest once it is complete.
func importMap(c *cobra.Command, s *subject, all *cluster, q *contents.Question, file, format string) error {
	name, err := s.one(all)
	if err != nil {
		return err
	}
	var manifest bounded
	failed := all.each(c.Context(), []string{name}, func(ctx context.Context, a *agent) error {
		manifest.bytes = manifest.bytes[:0]
		return a.ask(ctx, q, &manifest)
	})
	if len(failed) > 0 {
		return exit(c, failed, 1)
	}
	if format == structured.JSON {
		if manifest.bytes, err = yaml.YAMLToJSON(manifest.bytes); err != nil {
			return fmt.Errorf("read the manifest of node %s: %w", name, err)
		}
		manifest.bytes = append(manifest.bytes, '\n')
	}
	if file != "" {
		if err := os.WriteFile(file, manifest.bytes, 0o644); err != nil { //nolint:gosec // a manifest, for everyone to read
			return fmt.Errorf("write manifest: %w", err)
		}
		return nil
	}
	_, err = screen(c).Write(manifest.bytes)
	return err
}
