// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"log/slog"

	"github.com/go-logr/logr"
)

// warn logs what people should look at and no error caused. logr has no such level; the log behind it does.
func warn(l logr.Logger, message string, keysAndValues ...any) {
	slog.New(logr.ToSlogHandler(l)).Warn(message, keysAndValues...)
}
