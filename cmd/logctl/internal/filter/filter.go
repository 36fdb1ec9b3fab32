// Package filter chooses records: by key, by headers, or by an expression in CEL, the Common
// Expression Language.
package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Syntax explains expressions, for help texts.
const Syntax = `  value      the value: what its JSON says, else its text; null for none
  key        the key as text; null for none
  headers    a map of texts, the last of each name
  topic, partition, offset, timestamp (a time: timestamp > timestamp('2011-12-01T00:00:00Z'))`

// Expression is a compiled condition. It is used by one goroutine.
type Expression struct {
	program cel.Program

	// Failed counts the records for which the expression had no answer, as where a field is
	// missing. They are not chosen. First is what was wrong with the first.
	Failed int64
	First  error
}

// Compile checks an expression, which must say true or false.
func Compile(text string) (*Expression, error) {
	env, err := cel.NewEnv(
		cel.Variable("value", cel.DynType), cel.Variable("key", cel.DynType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("topic", cel.StringType), cel.Variable("partition", cel.IntType),
		cel.Variable("offset", cel.IntType), cel.Variable("timestamp", cel.TimestampType),
		cel.CrossTypeNumericComparisons(true), ext.Strings(),
	)
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, errors.New(strings.Join(strings.Fields(issues.Errors()[0].Message), " "))
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it yields %s, not true or false", t)
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit))
	if err != nil {
		return nil, err
	}
	return &Expression{program: program}, nil
}

// costLimit bounds the work for one record.
const costLimit = 10_000_000

// Matches reports whether the expression is true of r.
func (e *Expression) Matches(r *kgo.Record) bool {
	headers := make(map[string]string, len(r.Headers))
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	out, _, err := e.program.Eval(map[string]any{
		"value": decode(r.Value), "key": text(r.Key), "headers": headers,
		"topic": r.Topic, "partition": int64(r.Partition), "offset": r.Offset, "timestamp": r.Timestamp,
	})
	if err == nil && out.Type() != types.BoolType {
		err = fmt.Errorf("it yields %s, not true or false", out.Type().TypeName())
	}
	if err != nil {
		if e.Failed++; e.First == nil {
			e.First = err
		}
		return false
	}
	return out == types.True
}

func text(b []byte) any {
	if b == nil {
		return types.NullValue
	}
	return string(b)
}

// decode is the JSON that b is, or its text. Whole numbers stay exact.
func decode(b []byte) any {
	if b == nil {
		return types.NullValue
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return string(b)
	}
	return numbers(v)
}

// numbers puts integers and floats in place of JSON's numbers.
func numbers(v any) any {
	switch v := v.(type) {
	case nil:
		return types.NullValue
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}
