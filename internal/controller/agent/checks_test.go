// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestChecks: a comparison is due for another revision, after the resync period, when it didn't pass, and
// after anything changed, also while it was running.
func TestChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const resync = 10 * time.Minute
		c := &checks{}
		key := revision.Key{Namespace: "edge", Name: "table"}
		due := func(uid string, want bool, when string) {
			t.Helper()
			pause := c.untilDue(key, types.UID(uid), resync)
			if (pause == 0) != want {
				t.Errorf("%s: due in %s", when, pause)
			}
		}
		due("one", true, "never compared")
		running := c.begin(key, "one")
		due("one", true, "while it is compared")
		c.passed(key, running)
		due("one", false, "just compared")
		due("two", true, "another revision")
		time.Sleep(resync * 8 / 10)
		due("one", true, "a requeue that comes a tenth early")

		for what, forget := range map[string]func(){"forget": func() { c.forget(key) }, "forgetAll": c.forgetAll} {
			c.passed(key, c.begin(key, "one"))
			due("one", false, what+": compared again")
			forget()
			due("one", true, what+": after")
			running = c.begin(key, "one")
			forget()
			c.passed(key, running)
			due("one", true, what+": in the middle of a comparison")
		}
		first := c.begin(key, "one")
		second := c.begin(key, "two")
		c.passed(key, first)
		due("one", true, "an earlier comparison")
		c.passed(key, second)
		due("two", false, "the last comparison")
	})
}
