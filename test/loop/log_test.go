// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// line is a line of a log.
type line map[string]any

func (l line) says(message string) bool {
	text, _ := l["msg"].(string)
	return text == message
}

// lines are the log so far. Each has to be JSON, with a time, a level and a message.
func (p *process) lines() (all []line) {
	p.t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		if !strings.HasSuffix(row, "\n") {
			break // it is being written
		}
		var l line
		if err := json.Unmarshal([]byte(row), &l); err != nil {
			p.t.Fatalf("%s: a line isn't JSON: %s", p.name, row)
		}
		for _, field := range []string{"time", "level", "msg"} {
			if text, _ := l[field].(string); text == "" {
				p.t.Errorf("%s: a line without %s: %s", p.name, field, row)
			}
		}
		// What a source of events is called has to mean something to people, not be an address in memory.
		if source, ok := l["source"].(string); ok && strings.Contains(source, "0x") {
			p.t.Errorf("%s: a line with an address: %s", p.name, row)
		}
		all = append(all, l)
	}
	return all
}

// awaitLine waits for a line with a message for which is true.
func (p *process) awaitLine(message string, is func(line) bool) line {
	p.t.Helper()
	var found line
	await.Nil(p.t, limit, func() error {
		all := p.lines()
		i := slices.IndexFunc(all, func(l line) bool { return l.says(message) && (is == nil || is(l)) })
		if i < 0 {
			return fmt.Errorf("%s: no line %q among %d", p.name, message, len(all))
		}
		found = all[i]
		return nil
	})
	return found
}

// freeAddress is one on loopback.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// TestLog follows a map through the logs of both processes: what they are, what was compiled and refused, revisions,
// rollouts, drift; all of it JSON, with what libraries say; and nothing while nothing happens.
func TestLog(t *testing.T) {
	endpoint := freeAddress(t)
	ofController, ofAgent := freeAddress(t), freeAddress(t)
	w := newWorldWith(t, "--log-format=json", "--metrics-secure=false", "--metrics-bind-address="+ofController)
	n := newNode(t, w, true).start(t, "--log-format=json", "--resync-period=100ms", "--metrics-secure=false", "--metrics-bind-address="+ofAgent,
		"--contents-bind-address="+endpoint, "--pod-namespace", "bpfmap-system", "--pod-name", "agent")
	for _, p := range []*process{w.controller, n.agent} {
		first := p.awaitLine(map[string]string{"controller": "The controller starts", "agent": "The agent starts"}[p.name], nil)
		for _, field := range []string{"version", "commit", "go", "metrics", "concurrency"} {
			if first[field] == nil {
				t.Errorf("%s: the first line doesn't tell %s: %v", p.name, field, first)
			}
		}
	}
	if kernel, _ := n.agent.awaitLine("The agent starts", nil)["kernel"].(string); !strings.Contains(kernel, ".") {
		t.Errorf("the agent's kernel is %q", kernel)
	}

	w.apply("table", blocklist)
	w.awaitReadyOn("table", n)
	about := func(l line) bool { return fmt.Sprint(l) != "" && strings.Contains(fmt.Sprint(l), "table") }
	compiled := w.controller.awaitLine("Compiled the spec", about)
	if compiled["entries"] != 2.0 || compiled["took"] == nil || compiled["name"] != "table" || compiled["namespace"] != w.namespace {
		t.Errorf("%v", compiled)
	}
	created := w.controller.awaitLine("RevisionCreated", about)
	if note, _ := created["note"].(string); note != "created revision table-1 with 2 entries" || created["name"] != "table" {
		t.Errorf("%v", created)
	}
	w.controller.awaitLine("Rollout begins", about)
	w.controller.awaitLine("RolloutComplete", about)
	n.agent.awaitLine("Created map", about)

	w.edit("table", setEntries(1, -1))
	w.awaitCondition("table", v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidEntry)
	refused := w.controller.awaitLine(v1alpha1.ReasonInvalidEntry, about)
	if note, _ := refused["note"].(string); refused["level"] != "WARN" || !strings.Contains(note, "spec.entries[0].value") {
		t.Errorf("%v", refused)
	}
	w.edit("table", setEntries(1, 11))
	w.awaitReadyOn("table", n)
	n.agent.awaitLine("Updated map", about)

	n.set(t, "table", 1, 12)
	drifted := n.agent.awaitLine("Map had drifted", about)
	if drifted["level"] != "WARN" || drifted["repaired"] != true {
		t.Errorf("%v", drifted)
	}

	// The library of a server with TLS writes to the standard log.
	c, err := net.Dial("tcp", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("this is no handshake, and long enough to be told from one\n")); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	await.Nil(t, limit, func() error {
		for _, l := range n.agent.lines() {
			if strings.Contains(fmt.Sprint(l["msg"]), "TLS handshake error") {
				return nil
			}
		}
		return fmt.Errorf("no line about a failed handshake")
	})

	w.quiet(n, ofController, ofAgent)
}

// quietRounds is how much work without a change has to leave no line.
const quietRounds = 20

// quiet wants work that changes nothing to leave no line, however long it takes: a number of comparisons by the agent, and of
// reconciles by the controller that a label of the map "table" causes. Both are counted by the metrics of the processes.
func (w *world) quiet(n *node, controller, agent string) {
	w.t.Helper()
	touches := 0
	await.Nil(w.t, limit, func() error {
		before := []int{len(w.controller.lines()), len(n.agent.lines())}
		syncs := w.count(agent, "bpfmap_sync_total{")
		for range quietRounds {
			touches++
			reconciles := w.count(controller, `controller_runtime_reconcile_total{controller="bpfmap-controller"`)
			m := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "table"}}
			patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{"touched":"%d"}}}`, touches))
			if err := w.Patch(w.t.Context(), m, patch); err != nil {
				return err
			}
			await.Nil(w.t, limit, func() error {
				if w.count(controller, `controller_runtime_reconcile_total{controller="bpfmap-controller"`) == reconciles {
					return errors.New("the controller doesn't look at a map with another label")
				}
				return nil
			})
		}
		await.Nil(w.t, limit, func() error {
			if done := w.count(agent, "bpfmap_sync_total{") - syncs; done < quietRounds {
				return fmt.Errorf("%v comparisons", done)
			}
			return nil
		})
		for i, p := range []*process{w.controller, n.agent} {
			if all := p.lines(); len(all) != before[i] {
				return fmt.Errorf("%s: while nothing happens, it says %v", p.name, all[before[i]:])
			}
		}
		return nil
	})
}

// count is the sum of the series that begin like this, of a process that serves them without TLS.
func (w *world) count(endpoint, series string) (sum float64) {
	w.t.Helper()
	text, err := scrape(endpoint)
	if err != nil {
		w.t.Fatal(err)
	}
	for row := range strings.Lines(text) {
		if !strings.HasPrefix(row, series) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(row[strings.LastIndexByte(row, ' ')+1:]), 64)
		if err != nil {
			w.t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// scrape is what a process serves without TLS.
func scrape(endpoint string) (string, error) {
	answer, err := http.Get("http://" + endpoint + "/metrics")
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// TestContentMetrics reads counters that a BPFMap declares as metrics from an agent's endpoint.
func TestContentMetrics(t *testing.T) {
	endpoint := freeAddress(t)
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--metrics-bind-address="+endpoint, "--metrics-secure=false")
	w.apply("table", blocklist+"  metrics: {labels: [{name: id}], values: [{name: hits, type: Counter}]}\n")
	m := w.awaitReadyOn("table", n)
	series := func(metric string, id, value int) string {
		return fmt.Sprintf("%s{id=%q,name=%q,namespace=%q} %d\n", metric, fmt.Sprint(id), "table", w.namespace, value)
	}
	awaitServed := func(want string) {
		t.Helper()
		await.Nil(t, limit, func() error {
			text, err := scrape(endpoint)
			if err == nil && !strings.Contains(text, want) {
				err = fmt.Errorf("%q isn't served", want)
			}
			return err
		})
	}
	awaitServed(series("bpfmap_content_hits_total", 1, 10))
	n.set(t, "table", 7, 77) // as a program would
	awaitServed(series("bpfmap_content_hits_total", 7, 77))
	// Other metrics are served at once, by the revision that is there.
	w.edit("table", func(s *v1alpha1.BPFMapSpec) {
		s.Metrics = &v1alpha1.MapMetrics{
			Labels: []v1alpha1.MetricLabel{{Name: "id"}}, Values: []v1alpha1.MetricValue{{Name: "level", Type: v1alpha1.MetricGauge}},
		}
	})
	awaitServed(series("bpfmap_content_level", 2, 20))
	if after := w.awaitReadyOn("table", n); after.Status.UpdateRevision != m.Status.UpdateRevision {
		t.Errorf("a change of the metrics made revision %s", after.Status.UpdateRevision)
	}
}
