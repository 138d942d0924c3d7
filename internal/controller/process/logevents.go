// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"log/slog"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// LogEvents sends events to next and logs them: the API server forgets them after an hour. Warnings are logged as such.
func LogEvents(next events.EventRecorder, l logr.Logger) events.EventRecorder {
	return loggedEvents{next, slog.New(logr.ToSlogHandler(l))}
}

type loggedEvents struct {
	events.EventRecorder
	log *slog.Logger
}

// Eventf sends and logs an event.
func (e loggedEvents) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	e.EventRecorder.Eventf(regarding, related, kind, reason, action, note, args...)
	say := e.log.Info
	if kind == corev1.EventTypeWarning {
		say = e.log.Warn
	}
	fields := []any{"note", fmt.Sprintf(note, args...)}
	if about, err := meta.Accessor(regarding); err == nil {
		fields = append(fields, "namespace", about.GetNamespace(), "name", about.GetName())
	}
	say(reason, fields...)
}
