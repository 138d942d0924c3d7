// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"github.com/google/cel-go/interpreter"
)

const (
	// MaxLength bounds an expression, in bytes.
	MaxLength = 4096
	// MaxCost bounds what an expression may cost for one item, in CEL's units: about one for each operation, and one for
	// ten characters of a text that is read.
	MaxCost = 25_000
	// MaxAllCost bounds what the expressions of one map may cost for all items together: some twenty seconds.
	MaxAllCost = 50_000_000
	// maxDepth bounds how deep an expression is nested.
	maxDepth = 64
)

// variable is the name of the item.
const variable = "item"

// ErrBudget is that the expressions of one map cost more than MaxAllCost.
var ErrBudget = fmt.Errorf("the expressions of one map cost more than %d for all items together: make them simpler, or use paths", MaxAllCost)

// Items says what an expression sees as the item.
type Items int

// The kinds of items.
const (
	// Documents are any values of JSON.
	Documents Items = iota
	// Records are objects whose members are strings.
	Records
)

// Type is what an expression makes.
type Type string

// The types of results.
const (
	Bool     Type = "bool"
	Int      Type = "int"
	Uint     Type = "uint"
	Double   Type = "double"
	String   Type = "string"
	Bytes    Type = "bytes"
	List     Type = "list"
	Map      Type = "map"
	Time     Type = "timestamp"
	Duration Type = "duration"
	Address  Type = "address" // ip and cidr
)

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	program cel.Program
	// Constant says that it doesn't depend on the item.
	Constant bool
	// Members are the members of the item that it selects by name and needs: it fails without them.
	Members []string
}

// environments are the declarations that expressions are checked against; they don't change.
var environments = [...]func() (*cel.Env, error){
	Documents: sync.OnceValues(func() (*cel.Env, error) { return newEnv(cel.DynType) }),
	Records:   sync.OnceValues(func() (*cel.Env, error) { return newEnv(cel.MapType(cel.StringType, cel.StringType)) }),
}

func newEnv(item *cel.Type) (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable(variable, item),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserExpressionSizeLimit(MaxLength),
		ext.Network(),
		textFunctions(),
	)
}

// Compile checks an expression, which must make one of these types; none is any of them.
func Compile(text string, items Items, wanted ...Type) (*Program, error) {
	if len(text) > MaxLength {
		return nil, fmt.Errorf("has %d characters, at most %d are possible", len(text), MaxLength)
	}
	env, err := environments[items]()
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, errors.New(shortIssues(issues))
	}
	if made := typeOf(checked.OutputType()); len(wanted) > 0 && made != "" && !slices.Contains(wanted, made) {
		return nil, fmt.Errorf("makes a %s, but %s is needed", checked.OutputType(), oneOf(wanted))
	}
	if message := amplifies(checked.NativeRep()); message != "" {
		return nil, errors.New(message)
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost), cel.CostLimit(MaxCost), cel.CostTracking(costs{}))
	if err != nil {
		return nil, err
	}
	p := &Program{program: program}
	p.Members, p.Constant = uses(checked.NativeRep())
	return p, nil
}

// shortIssues are the errors in one line each, without the picture of where they are.
func shortIssues(issues *cel.Issues) string {
	var all []string
	for _, e := range issues.Errors() {
		all = append(all, fmt.Sprintf("column %d: %s", e.Location.Column()+1, e.Message))
		if len(all) == 3 {
			break
		}
	}
	return "is not valid CEL: " + strings.Join(all, "; ")
}

func oneOf(types []Type) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	if len(names) == 1 {
		return names[0]
	}
	return "one of " + strings.Join(names, ", ")
}

// typeOf is what values of a type are; empty if that is known only when it is evaluated.
func typeOf(t *cel.Type) Type {
	switch t.Kind() {
	case types.BoolKind:
		return Bool
	case types.IntKind:
		return Int
	case types.UintKind:
		return Uint
	case types.DoubleKind:
		return Double
	case types.StringKind:
		return String
	case types.BytesKind:
		return Bytes
	case types.ListKind:
		return List
	case types.MapKind:
		return Map
	case types.TimestampKind:
		return Time
	case types.DurationKind:
		return Duration
	case types.OpaqueKind:
		switch {
		case t.TypeName() == "optional_type":
			return typeOf(t.Parameters()[0])
		case strings.HasPrefix(t.TypeName(), "net."):
			return Address
		}
		return Type(t.TypeName())
	case types.NullTypeKind, types.TypeKind, types.StructKind:
		return Type(t.TypeName())
	}
	return ""
}

// uses are the members of the item that an expression selects without asking whether they are there, and whether it
// has none of the item.
func uses(checked *ast.AST) (members []string, constant bool) {
	constant = true
	asked := map[string]bool{}
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			constant = constant && e.AsIdent() != variable
		case ast.SelectKind:
			s := e.AsSelect()
			if !isItem(s.Operand()) {
				return
			}
			if s.IsTestOnly() {
				asked[s.FieldName()] = true
			} else {
				members = append(members, s.FieldName())
			}
		case ast.CallKind:
			members = indexed(e.AsCall(), members, asked)
		}
	}))
	members = slices.DeleteFunc(members, func(name string) bool { return asked[name] })
	slices.Sort(members)
	return slices.Compact(members), constant
}

func isItem(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == variable }

// indexed adds item["name"]; "name" in item asks for it.
func indexed(call ast.CallExpr, members []string, asked map[string]bool) []string {
	args := call.Args()
	if len(args) != 2 {
		return members
	}
	container, name := args[0], args[1]
	if call.FunctionName() == "@in" {
		container, name = name, container
	}
	text, ok := literalText(name)
	switch {
	case !ok || !isItem(container):
	case call.FunctionName() == "_[_]":
		members = append(members, text)
	case call.FunctionName() == "@in":
		asked[text] = true
	}
	return members
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().Value().(string)
	return text, ok
}

// maxTime bounds the time of all evaluations for one map: far more than MaxAllCost takes.
const maxTime = 2 * time.Minute

// Budget is what the expressions of one map may still cost.
type Budget struct {
	left  uint64
	spent time.Duration
}

// NewBudget is MaxAllCost.
func NewBudget() *Budget { return &Budget{left: MaxAllCost} }

// take pays for an evaluation.
func (b *Budget) take(cost uint64, began time.Time) {
	b.left -= min(b.left, cost)
	if b.spent += time.Since(began); b.spent > maxTime {
		b.left = 0
	}
}

// activation is the item as the evaluator asks for it.
type activation struct{ item any }

// ResolveName is the item under its name.
func (a *activation) ResolveName(name string) (any, bool) { return a.item, name == variable }

// Parent is none.
func (a *activation) Parent() interpreter.Activation { return nil }

// Eval evaluates the expression for an item: a value as encoding/json makes it, with int64 for whole numbers, or a map of
// strings. The error is ErrBudget, or what is wrong with the item.
func (p *Program) Eval(item any, b *Budget) (ref.Val, error) {
	if b.left == 0 {
		return nil, ErrBudget
	}
	began := time.Now()
	value, details, err := p.program.Eval(&activation{item})
	cost := uint64(MaxCost)
	switch c := details.ActualCost(); {
	case c != nil:
		cost = *c
	case err != nil && !isCostLimit(err):
		cost = costOfFailure
	}
	b.take(cost, began)
	if err != nil {
		return nil, errors.New(shortError(err))
	}
	return value, nil
}

// costOfFailure stands for the cost of an evaluation that failed where CEL doesn't tell it.
const costOfFailure = 100

func isCostLimit(err error) bool { return strings.Contains(err.Error(), "cost limit exceeded") }

func shortError(err error) string {
	if isCostLimit(err) {
		return fmt.Sprintf("costs more than %d for this item", MaxCost)
	}
	return err.Error()
}

// IsTrue evaluates an expression that makes a bool.
func (p *Program) IsTrue(item any, b *Budget) (bool, error) {
	value, err := p.Eval(item, b)
	if err != nil {
		return false, err
	}
	is, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("makes a %s, but a bool is needed", value.Type().TypeName())
	}
	return is, nil
}
