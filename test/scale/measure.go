// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"
)

// Figures are what one phase took. Counts are those of all agents and of the controller together.
type Figures struct {
	Phase string
	Nodes int
	// Thin says that the agents were thin ones.
	Thin bool
	// Took is the phase's length, ToMost the time until 99 % of the nodes had what changed; zero if nothing did.
	Took, ToMost time.Duration
	// Controller and APIServer are their CPU time, the peaks their resident bytes.
	Controller, APIServer         time.Duration
	ControllerPeak, APIServerPeak int64
	// EventsPerNode and BytesPerNode are of the watches of revisions, of the agent that got most.
	EventsPerNode, BytesPerNode int64
	// BytesToAll is what all agents together received of revisions and chunks, OthersMost what an agent got most
	// of revisions and chunks whose node isn't selected by what changed.
	BytesToAll int64
	// ChunkReads are the chunks that agents read.
	ChunkReads int64
	// Refused are the answers 429 of priority and fairness.
	Refused int64
	// Requests are the requests by verb, and Writes those that wrote, by verb and resource.
	Requests, Writes map[string]int64
}

// snapshot is what has been counted so far.
type snapshot struct {
	at                    time.Time
	controller, apiserver usage
	requests, writes      map[string]int64
	refused               int64
	nodes                 []received
}

type received struct{ events, bytes, chunks, chunkBytes int64 }

// snap counts.
func (b *Bench) snap(ctx context.Context) (s snapshot, err error) {
	s = snapshot{at: time.Now(), requests: map[string]int64{}, writes: map[string]int64{}}
	for i := range b.fleet.nodes {
		t := &b.fleet.nodes[i].traffic
		s.nodes = append(s.nodes, received{t.RevisionEvents.Load(), t.RevisionBytes.Load(), t.ChunkReads.Load(), t.ChunkBytes.Load()})
	}
	if b.env.controller != nil {
		if s.controller, err = usageOf(b.env.controller.Process.Pid); err != nil {
			return s, err
		}
	}
	s.controller.cpu += b.env.past
	if s.apiserver, err = usageOf(b.env.plane.APIServerPID()); err != nil {
		return s, err
	}
	return s, b.countRequests(ctx, &s)
}

// countRequests reads the API server's own metrics, without what this program itself did and with what it
// refused.
func (b *Bench) countRequests(ctx context.Context, s *snapshot) error {
	c, err := kubernetes.NewForConfig(b.env.plane.Config())
	if err != nil {
		return err
	}
	text, err := c.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("read the API server's metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("parse the API server's metrics: %w", err)
	}
	for _, m := range families["apiserver_request_total"].GetMetric() {
		verb, n := label(m, "verb"), int64(m.GetCounter().GetValue())
		if group := label(m, "group"); group != "bpfmap.io" && group != "events.k8s.io" && label(m, "resource") != "nodes" {
			continue
		}
		what := label(m, "resource")
		if sub := label(m, "subresource"); sub != "" {
			what += "/" + sub
		}
		s.requests[verb] += n
		switch verb {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE":
			if what != "nodes" && what != "nodes/status" && label(m, "code")[0] == '2' {
				s.writes[verb+" "+what] += n
			}
		}
	}
	for _, m := range families["apiserver_flowcontrol_rejected_requests_total"].GetMetric() {
		s.refused += int64(m.GetCounter().GetValue())
	}
	return nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// figures are what was counted between two snapshots.
func (b *Bench) figures(before, after snapshot) Figures {
	f := Figures{
		Nodes: len(b.fleet.nodes), Thin: !b.fleet.nodes[0].real, Took: after.at.Sub(before.at),
		Controller: after.controller.cpu - before.controller.cpu, ControllerPeak: after.controller.peak,
		APIServer: after.apiserver.cpu - before.apiserver.cpu, APIServerPeak: after.apiserver.peak,
		Refused: after.refused - before.refused, Requests: less(after.requests, before.requests), Writes: less(after.writes, before.writes),
	}
	for i := range after.nodes {
		var was received
		if i < len(before.nodes) {
			was = before.nodes[i]
		}
		now := after.nodes[i]
		f.EventsPerNode = max(f.EventsPerNode, now.events-was.events)
		f.BytesPerNode = max(f.BytesPerNode, now.bytes-was.bytes)
		f.ChunkReads += now.chunks - was.chunks
		f.BytesToAll += now.bytes - was.bytes + now.chunkBytes - was.chunkBytes
	}
	return f
}

func less(after, before map[string]int64) map[string]int64 {
	d := map[string]int64{}
	for k, n := range after {
		if n -= before[k]; n != 0 {
			d[k] = n
		}
	}
	return d
}

// settled waits until what agents receive and send has been at rest for a moment, at most a minute.
func (b *Bench) settled(ctx context.Context) {
	last, since := int64(-1), time.Now()
	for begin := time.Now(); time.Since(begin) < time.Minute && ctx.Err() == nil; wait(ctx, 200*time.Millisecond) {
		var sum int64
		for _, n := range b.fleet.nodes {
			for _, c := range []*atomic.Int64{&n.traffic.RevisionEvents, &n.traffic.OtherEvents, &n.traffic.Requests} {
				sum += c.Load()
			}
		}
		if sum != last {
			last, since = sum, time.Now()
		}
		if time.Since(since) > 2*time.Second {
			return
		}
	}
}
