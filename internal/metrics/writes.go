// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writes counts status writes.
type writes struct{ total *prometheus.CounterVec }

func newWrites(r prometheus.Registerer) writes {
	w := writes{register(r, statusWrites.counter())}
	for _, result := range []string{"written", "conflict", "failed"} {
		w.total.WithLabelValues(result)
	}
	return w
}

func (w writes) client(next client.Client) client.Client { return countedClient{next, w} }

func (w writes) count(err error) error {
	switch {
	case err == nil:
		w.total.WithLabelValues("written").Inc()
	case apierrors.IsConflict(err):
		w.total.WithLabelValues("conflict").Inc()
	default:
		w.total.WithLabelValues("failed").Inc()
	}
	return err
}

type countedClient struct {
	client.Client
	writes writes
}

// Status is the writer of statuses, counted.
func (c countedClient) Status() client.SubResourceWriter {
	return countedWriter{c.Client.Status(), c.writes}
}

type countedWriter struct {
	client.SubResourceWriter
	writes writes
}

// Update writes a status.
func (w countedWriter) Update(ctx context.Context, o client.Object, opts ...client.SubResourceUpdateOption) error {
	return w.writes.count(w.SubResourceWriter.Update(ctx, o, opts...))
}

// Patch writes the difference of a status.
func (w countedWriter) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
	return w.writes.count(w.SubResourceWriter.Patch(ctx, o, p, opts...))
}
