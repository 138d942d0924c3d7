// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"fmt"
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

// Parse reads the values of the agent's flags: a quantity, and lists of NAMESPACE=QUANTITY and
// NAMESPACE=NUMBER.
func Parse(node string, memory, maps []string) (Limits, error) {
	l := Limits{Memory: map[string]int64{}, Maps: map[string]int64{}}
	var err error
	if node != "" {
		if l.Node, err = bytes(node); err != nil {
			return Limits{}, err
		}
	}
	if err := each(memory, l.Memory, bytes); err != nil {
		return Limits{}, err
	}
	return l, each(maps, l.Maps, number)
}

// each reads a list of NAMESPACE=VALUE.
func each(list []string, into map[string]int64, read func(string) (int64, error)) error {
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

func bytes(text string) (int64, error) {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, fmt.Errorf("limit %q is not a quantity such as 256Mi: %w", text, err)
	}
	if q.Sign() <= 0 {
		return 0, fmt.Errorf("limit %q is not positive: leave it out for no limit", text)
	}
	return q.Value(), nil
}

func number(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("limit %q is not a positive number", text)
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
