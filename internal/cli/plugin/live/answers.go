// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"sync"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// screen is standard output. What nodes answer is others' data: nothing of it becomes a command to a terminal.
func screen(c *cobra.Command) *terminal.Output { return terminal.Of(c.OutOrStdout()) }

// answers are what nodes answered, by their names. It is safe for concurrent use.
type answers[T any] struct {
	mu sync.Mutex
	of map[string]T
}

func newAnswers[T any](n int) *answers[T] { return &answers[T]{of: make(map[string]T, n)} }

func (a *answers[T]) put(node string, answer T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[node] = answer
}

func (a *answers[T]) get(node string) (T, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer, ok := a.of[node]
	return answer, ok
}
