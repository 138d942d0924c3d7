// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Logger makes the process's log. level is debug, info, warn or error; format is text or json.
func Logger(w io.Writer, level, format string) (logr.Logger, error) {
	var threshold slog.Level
	if err := threshold.UnmarshalText([]byte(level)); err != nil {
		return logr.Logger{}, fmt.Errorf("invalid log level %q: must be one of debug, info, warn, error", level)
	}
	options := &slog.HandlerOptions{Level: threshold}
	switch format {
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(w, options)), nil
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(w, options)), nil
	}
	return logr.Logger{}, fmt.Errorf("invalid log format %q: must be one of text, json", format)
}

// UseLogger sends what libraries log to l. It is called once, before anything logs.
func UseLogger(l logr.Logger) {
	log.SetLogger(l)
	klog.SetLogger(l.WithName("client-go"))
	// HTTP servers tell of failed TLS handshakes and the like through the standard log.
	stdlog.SetFlags(0)
	stdlog.SetOutput(lines{l.WithName("net/http")})
}

// lines logs each line that is written to it.
type lines struct{ log logr.Logger }

func (l lines) Write(line []byte) (int, error) {
	l.log.Info(strings.TrimSpace(string(line)))
	return len(line), nil
}
