// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// costs counts what calls cost where CEL's own count doesn't know the types, or doesn't look into lists: in documents
// nearly everything is known only when it is evaluated. Without it, an expression could double a text or a list with
// each call and pay one for each.
type costs struct{}

// CallCost is what a call did cost; nil to leave it to CEL.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	var cost uint64
	switch function {
	case operators.Add:
		cost = costOfAdd(args)
	case operators.Equals, operators.NotEquals:
		cost = 1 + min(deepSize(args[0]), deepSize(args[1]))
	case operators.In, operators.OldIn:
		cost = 1 + deepSize(args[1])
		if _, isMap := args[1].(traits.Mapper); isMap {
			cost = 1
		}
	case "matches", "contains":
		cost = 1 + (1+deepSize(args[0]))*(1+deepSize(args[len(args)-1])/4)
	case "startsWith", "endsWith", "lowerAscii", "upperAscii", "trim", "split", "join", "indexOf", "replace", "substring", "string", "bytes":
		cost = 1 + deepSize(args[0]) + deepSize(result)
	default:
		return nil
	}
	return &cost
}

// costOfAdd of lists is that of the shorter one: macros add element by element.
func costOfAdd(args []ref.Val) uint64 {
	if _, isList := args[0].(traits.Lister); isList {
		return 1 + min(size(args[0]), size(args[1]))
	}
	return 1 + deepSize(args[0]) + deepSize(args[1])
}

func size(v ref.Val) uint64 {
	sized, ok := v.(traits.Sizer)
	if !ok {
		return 1
	}
	n, ok := sized.Size().(types.Int)
	if !ok {
		return 1
	}
	return uint64(n)
}

// deepSize is how many values there are in v, and a tenth of the characters of texts; MaxCost if it is more.
func deepSize(v ref.Val) uint64 {
	var n uint64
	addSize(v, &n)
	return min(n, MaxCost)
}

func addSize(v ref.Val, n *uint64) {
	if *n++; *n > MaxCost {
		return
	}
	switch v := v.(type) {
	case types.String:
		*n += uint64(len(v)) / 10
	case types.Bytes:
		*n += uint64(len(v)) / 10
	case traits.Lister:
		for it := v.Iterator(); *n <= MaxCost && it.HasNext() == types.True; {
			addSize(it.Next(), n)
		}
	case traits.Mapper:
		for it := v.Iterator(); *n <= MaxCost && it.HasNext() == types.True; {
			addSize(v.Get(it.Next()), n)
		}
	}
}

// maxMacros bounds the macros of an expression (all, exists, exists_one, map, filter).
const maxMacros = 8

// amplifies says why an expression could make a value of any size at hardly any cost: one macro after the other, each of
// which puts what the one before made into a list or an object several times.
func amplifies(checked *ast.AST) string {
	macros, literals := 0, 0
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind {
			return
		}
		macros++
		ast.PreOrderVisit(e.AsComprehension().LoopStep(), ast.NewExprVisitor(func(in ast.Expr) {
			if in.Kind() == ast.MapKind || in.Kind() == ast.StructKind || in.Kind() == ast.ListKind && len(in.AsList().Elements()) > 1 {
				literals++
			}
		}))
	}))
	switch {
	case macros > maxMacros:
		return "has more than 8 macros (all, exists, exists_one, map, filter)"
	case macros > 1 && literals > 0:
		return "makes a list or an object inside a macro, and has another macro: only one of them is possible"
	}
	return ""
}
