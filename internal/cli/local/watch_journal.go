// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// journal prints what apply --watch does and what is wrong, each once and with its time.
type journal struct {
	c *cobra.Command
	// wrong is what was wrong when the manifests were read last, and notes what was said last of other things.
	wrong map[string]bool
	notes map[string]string
	// err is why nothing can be printed any more.
	err error
}

func newJournal(c *cobra.Command) *journal {
	return &journal{c: c, wrong: map[string]bool{}, notes: map[string]string{}}
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// done says what was done.
func (j *journal) done(line string) {
	if _, err := fmt.Fprintln(j.c.OutOrStdout(), now(), line); err != nil && j.err == nil {
		j.err = err
	}
}

// warn says what is wrong.
func (j *journal) warn(line string) { j.c.PrintErrln(now(), strings.TrimRight(line, "\n")) }

// isWrong says all that is wrong with what was read. What was so before isn't said again.
func (j *journal) isWrong(lines []string) {
	is := make(map[string]bool, len(lines))
	for _, line := range lines {
		if !j.wrong[line] && !is[line] {
			j.warn(line)
		}
		is[line] = true
	}
	j.wrong = is
}

// note says how something is, if it isn't as it was; over is said when there is nothing to say any more.
func (j *journal) note(about, line, over string) {
	switch line {
	case j.notes[about]:
		return
	case "":
		j.done(over)
		delete(j.notes, about)
		return
	}
	j.notes[about] = line
	j.warn(line)
}
