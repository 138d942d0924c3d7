// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// maxText bounds a text that a function makes, in bytes: CEL counts the cost of a call when it has been done.
const maxText = 64 << 10

// textFunctions are those of CEL's extension for strings that are useful for items, with bounded results. Their names and
// meanings are the extension's; positions count bytes, which are characters in what feeds have.
func textFunctions() cel.EnvOption {
	s, list := cel.StringType, cel.ListType(cel.StringType)
	return cel.Lib(library{
		cel.Function("lowerAscii", cel.MemberOverload("item_lower", []*cel.Type{s}, s, cel.UnaryBinding(lowerASCII))),
		cel.Function("upperAscii", cel.MemberOverload("item_upper", []*cel.Type{s}, s, cel.UnaryBinding(upperASCII))),
		cel.Function("trim", cel.MemberOverload("item_trim", []*cel.Type{s}, s, cel.UnaryBinding(trim))),
		cel.Function("split", cel.MemberOverload("item_split", []*cel.Type{s, s}, list, cel.BinaryBinding(split))),
		cel.Function("join", cel.MemberOverload("item_join", []*cel.Type{list, s}, s, cel.BinaryBinding(join))),
		cel.Function("indexOf", cel.MemberOverload("item_index_of", []*cel.Type{s, s}, cel.IntType, cel.BinaryBinding(indexOf))),
		cel.Function("replace", cel.MemberOverload("item_replace", []*cel.Type{s, s, s}, s, cel.FunctionBinding(replace))),
		cel.Function("substring",
			cel.MemberOverload("item_substring_from", []*cel.Type{s, cel.IntType}, s, cel.FunctionBinding(substring)),
			cel.MemberOverload("item_substring", []*cel.Type{s, cel.IntType, cel.IntType}, s, cel.FunctionBinding(substring))),
	})
}

type library []cel.EnvOption

// CompileOptions are the declarations.
func (l library) CompileOptions() []cel.EnvOption { return l }

// ProgramOptions are none.
func (library) ProgramOptions() []cel.ProgramOption { return nil }

func lowerASCII(v ref.Val) ref.Val {
	return types.String(strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text(v)))
}

func upperASCII(v ref.Val) ref.Val {
	return types.String(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r + 'A' - 'a'
		}
		return r
	}, text(v)))
}

func trim(v ref.Val) ref.Val { return types.String(strings.TrimSpace(text(v))) }

// text is a value that the checker knows to be a string.
func text(v ref.Val) string {
	s, _ := v.Value().(string)
	return s
}

// maxParts bounds the parts of a text that is split.
const maxParts = 4096

func split(v, by ref.Val) ref.Val {
	parts := strings.SplitN(text(v), text(by), maxParts+1)
	if len(parts) > maxParts {
		return types.NewErr("split makes more than %d parts", maxParts)
	}
	return types.NewStringList(types.DefaultTypeAdapter, parts)
}

func join(v, by ref.Val) ref.Val {
	list, ok := v.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	var b strings.Builder
	for i, it := 0, list.Iterator(); it.HasNext() == types.True; i++ {
		if i > maxParts {
			return types.NewErr("join takes at most %d parts", maxParts)
		}
		part, ok := it.Next().(types.String)
		if !ok {
			return types.NewErr("join needs a list of strings")
		}
		if i > 0 {
			b.WriteString(text(by))
		}
		b.WriteString(string(part))
		if b.Len() > maxText {
			return tooLong("join")
		}
	}
	return types.String(b.String())
}

func tooLong(function string) ref.Val {
	return types.NewErr("%s makes a text of more than %d bytes", function, maxText)
}

func indexOf(v, part ref.Val) ref.Val { return types.Int(strings.Index(text(v), text(part))) }

func replace(args ...ref.Val) ref.Val {
	in, old, with := text(args[0]), text(args[1]), text(args[2])
	if n := strings.Count(in, old); len(in)+n*(len(with)-len(old)) > maxText {
		return tooLong("replace")
	}
	return types.String(strings.ReplaceAll(in, old, with))
}

func substring(args ...ref.Val) ref.Val {
	in := text(args[0])
	from, to := int(args[1].(types.Int)), len(in) // the checker knows the type
	if len(args) == 3 {
		to = int(args[2].(types.Int)) // the checker knows the type
	}
	if from < 0 || to > len(in) || from > to {
		return types.NewErr("substring(%d, %d) is out of the bounds of a text of %d bytes", from, to, len(in))
	}
	return types.String(in[from:to])
}
