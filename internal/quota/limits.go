// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// AnyNamespace stands for every namespace that has no limit of its own.
const AnyNamespace = "*"

// Limits are the administrator's. 0 and absent mean no limit.
type Limits struct {
	// Node is for all managed maps of the node together, in bytes.
	Node int64
	// Memory is for the maps of one namespace on the node, in bytes.
	Memory map[string]int64
	// Maps is how many maps one namespace may have on the node.
	Maps map[string]int64
}

// The limits where the administrator says nothing, as the agent's flags take them.
const (
	DefaultNode   = "25%"
	DefaultMemory = "512Mi"
	DefaultMaps   = "200"
)

// Unlimited is the value for no limit.
const Unlimited = "none"

// Parse reads the values of the agent's flags: a quantity or a share of the node's memory, which has total bytes, and lists
// of NAMESPACE=QUANTITY and NAMESPACE=NUMBER. What isn't given, the node's limit or those of namespaces without one of
// their own, has its default; the value "none" is no limit.
func Parse(node string, memory, maps []string, total int64) (Limits, error) {
	l := Limits{Memory: map[string]int64{}, Maps: map[string]int64{}}
	var err error
	if l.Node, err = share(cmp.Or(node, DefaultNode), total); err != nil {
		return Limits{}, err
	}
	if err := each(memory, DefaultMemory, l.Memory, bytes); err != nil {
		return Limits{}, err
	}
	return l, each(maps, DefaultMaps, l.Maps, number)
}

// each reads a list of NAMESPACE=VALUE; what it doesn't say of other namespaces is the fallback.
func each(list []string, fallback string, into map[string]int64, read func(string) (int64, error)) error {
	if !slices.ContainsFunc(list, func(text string) bool { return strings.HasPrefix(text, AnyNamespace+"=") }) {
		list = append(slices.Clone(list), AnyNamespace+"="+fallback)
	}
	for _, text := range list {
		namespace, value, ok := strings.Cut(text, "=")
		if !ok || namespace == "" {
			return fmt.Errorf("limit %q must be NAMESPACE=LIMIT", text)
		}
		if _, again := into[namespace]; again {
			return fmt.Errorf("limit %q: namespace %s already has a limit", text, namespace)
		}
		n, err := read(value)
		if err != nil {
			return err
		}
		into[namespace] = n
	}
	return nil
}

// share reads a quantity, or a percentage of total.
func share(text string, total int64) (int64, error) {
	digits, ok := strings.CutSuffix(text, "%")
	if !ok {
		return bytes(text)
	}
	percent, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || percent < 1 || percent > 100 {
		return 0, fmt.Errorf("limit %q is not a percentage from 1%% to 100%%", text)
	}
	return total * percent / 100, nil
}

func bytes(text string) (int64, error) {
	if text == Unlimited {
		return 0, nil
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, fmt.Errorf("limit %q is not a quantity such as 256Mi: %w", text, err)
	}
	if q.Sign() <= 0 {
		return 0, fmt.Errorf("limit %q is not positive; %q is no limit", text, Unlimited)
	}
	return q.Value(), nil
}

func number(text string) (int64, error) {
	if text == Unlimited {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("limit %q is not a positive number, nor %q", text, Unlimited)
	}
	return n, nil
}

// of is a namespace's limit, 0 for none.
func of(limits map[string]int64, namespace string) int64 {
	if n, ok := limits[namespace]; ok {
		return n
	}
	return limits[AnyNamespace]
}
