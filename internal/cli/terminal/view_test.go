// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
)

// TestShow shows frames of what looks found, and gives the terminal back however it ends.
func TestShow(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		fails error // of the third look
		want  error
	}{
		"ended":  {},
		"broken": {broken, broken},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var b bytes.Buffer
			n, looks := 0, 0
			v := &terminal.View{
				Every: time.Millisecond,
				Lines: func() []string { return []string{fmt.Sprintf("seen %d", n), "q quit"} },
				Look: func(ctx context.Context) (func(), error) {
					if looks++; looks < 3 {
						return func() { n++ }, nil
					}
					if test.fails != nil {
						return nil, test.fails
					}
					cancel()
					return nil, context.Cause(ctx)
				},
			}
			if err := terminal.Simulated(&b, 80, false).Show(ctx, strings.NewReader("q"), v); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			frame := func(n int) string { return fmt.Sprintf("\x1b[Hseen %d\x1b[K\r\nq quit\x1b[K\x1b[J", n) }
			if want := "\x1b[?1049h\x1b[?25l" + frame(0) + frame(1) + frame(2) + "\x1b[?25h\x1b[?1049l"; b.String() != want {
				t.Errorf("shown %q\nwant  %q", b.String(), want)
			}
		})
	}
}
