package value_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func decode(t *testing.T, s string) any {
	t.Helper()
	v, err := value.Loads(s)
	if err != nil {
		t.Fatalf("decode %s: %v", s, err)
	}
	return v
}

func TestReprIsPythons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, "None"},
		{true, "True"},
		{int64(-7), "-7"},
		{new(big.Int).Lsh(big.NewInt(1), 64), "18446744073709551616"},
		{1.0, "1.0"},
		{0.30000000000000004, "0.30000000000000004"},
		{1e16, "1e+16"},
		{1e-5, "1e-05"},
		{0.0001, "0.0001"},
		{123456789012345680.0, "1.2345678901234568e+17"},
		{9007199254740993.0, "9007199254740992.0"},
		{math.Copysign(0, -1), "-0.0"},
		{math.Inf(-1), "-inf"},
		{math.NaN(), "nan"},
		{"it's", `"it's"`},
		{`it's "x"`, `'it\'s "x"'`},
		{"a\n\t\\\x00\x7f\u200b\u00a0é世", `'a\n\t\\\x00\x7f\u200b\xa0é世'`},
		{"\U000e0001", `'\U000e0001'`},
		{value.Bytes("a\x00'é"), `b"a\x00'\xc3\xa9"`},
		{value.List{int64(1), "a", nil}, "[1, 'a', None]"},
		{value.Tuple{int64(1)}, "(1,)"},
		{value.Tuple{}, "()"},
		{value.NewSet(int64(1), 1.0, "a"), "{1, 'a'}"},
		{value.NewSet(), "set()"},
		{value.MapOf("a", value.MapOf(int64(1), value.List{})), "{'a': {1: []}}"},
		{&value.Array{Items: value.List{true}}, "[True]"},
	} {
		if got := value.Repr(c.v); got != c.want {
			t.Errorf("Repr(%#v): got %s, want %s", c.v, got, c.want)
		}
	}
	if got := value.Str("it's"); got != "it's" {
		t.Errorf("Str of a string: got %s", got)
	}
}

func TestReprOfWhatHoldsItselfEnds(t *testing.T) {
	t.Parallel()
	a := &value.Array{}
	a.Items = value.List{a}
	if got := value.Repr(a); !strings.Contains(got, "...") {
		t.Errorf("got %d bytes without an ellipsis", len(got))
	}
	var v any = value.List{"x"}
	for range 60 {
		v = value.List{v, v}
	}
	if _, err := value.AppendRepr(nil, v, value.NewBudget(1, 1000)); !errors.Is(err, value.ErrLimit) {
		t.Errorf("a text of 2^60 items: got %v, want ErrLimit", err)
	}
	var w any = value.List{"x"}
	for range 60 {
		w = value.List{w, w}
	}
	if _, err := value.EqualWithin(v, w, value.NewBudget(1000, 1)); !errors.Is(err, value.ErrLimit) {
		t.Errorf("a comparison of 2^60 items: got %v, want ErrLimit", err)
	}
	if ok, err := value.EqualWithin(value.List{int64(1)}, value.List{1.0}, value.NewBudget(1, 1)); !ok || err != nil {
		t.Errorf("a short comparison: got %t, %v", ok, err)
	}
	if value.Equal(v, value.List{v, "y"}) {
		t.Error("different values are equal")
	}
}

func TestEqualIsPythons(t *testing.T) {
	t.Parallel()
	big1 := new(big.Int).Lsh(big.NewInt(1), 70)
	for _, c := range []struct {
		a, b any
		want bool
	}{
		{int64(1), 1.0, true}, {int64(1), true, true}, {0.0, false, true}, {int64(1), "1", false},
		{nil, false, false}, {nil, nil, true}, {"", nil, false},
		{int64(1 << 53), float64(1 << 53), true}, {int64(1<<53 + 1), float64(1 << 53), false},
		{big1, math.Ldexp(1, 70), true}, {big1, math.Ldexp(1, 71), false},
		{math.NaN(), math.NaN(), false},
		{value.List{int64(1)}, value.List{1.0}, true},
		{value.List{int64(1)}, value.Tuple{int64(1)}, false},
		{value.List{int64(1)}, &value.Array{Items: value.List{true}}, true},
		{value.MapOf("a", int64(1), "b", int64(2)), value.MapOf("b", int64(2), "a", 1.0), true},
		{value.MapOf(int64(1), "x"), value.MapOf(true, "x"), true},
		{value.MapOf("a", int64(1)), value.MapOf("a", int64(1), "b", nil), false},
		{value.NewSet(int64(1), int64(2)), value.NewSet(int64(2), 1.0), true},
		{value.Bytes("a"), "a", false},
	} {
		if got := value.Equal(c.a, c.b); got != c.want {
			t.Errorf("%s == %s: got %t", value.Repr(c.a), value.Repr(c.b), got)
		}
		if got := value.Equal(c.b, c.a); got != c.want {
			t.Errorf("%s == %s: got %t", value.Repr(c.b), value.Repr(c.a), got)
		}
		if c.want && value.HashKey(c.a) != value.HashKey(c.b) {
			t.Errorf("%s and %s are equal with different keys", value.Repr(c.a), value.Repr(c.b))
		}
	}
}

func TestOrderIsPythons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a    any
		op   string
		b    any
		want string
	}{
		{int64(1), "<", 1.5, "true"}, {"a", "<", "b", "true"}, {true, "<=", int64(1), "true"},
		{math.NaN(), "<", 1.0, "false"}, {math.NaN(), ">=", 1.0, "false"},
		{value.List{int64(1), "a"}, "<", value.List{int64(2), nil}, "true"},
		{value.List{int64(1)}, "<", value.List{int64(1), int64(0)}, "true"},
		{value.NewSet(int64(1)), "<", value.NewSet(int64(1), int64(2)), "true"},
		{value.NewSet(int64(3)), ">=", value.NewSet(int64(1), int64(2)), "false"},
		{int64(1), "<", "a", "TypeError: '<' not supported between instances of 'int' and 'str'"},
		{nil, ">", int64(1), "TypeError: '>' not supported between instances of 'NoneType' and 'int'"},
		{value.List{int64(1)}, "<", value.List{"a"}, "TypeError: '<' not supported between instances of 'int' and 'str'"},
		{value.MapOf(), "<=", value.MapOf(), "TypeError: '<=' not supported between instances of 'dict' and 'dict'"},
	} {
		ok, err := value.Order(c.op, c.a, c.b)
		got := fmt.Sprint(ok)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s %s %s: got %s, want %s", value.Repr(c.a), c.op, value.Repr(c.b), got, c.want)
		}
	}
}

func TestArithIsPythons(t *testing.T) {
	t.Parallel()
	big1, _ := new(big.Int).SetString("12345678901234567890", 10)
	for _, c := range []struct {
		a    any
		op   string
		b    any
		want string
	}{
		{int64(7), "//", int64(-2), "-4"}, {int64(-7), "%", int64(3), "2"}, {int64(7), "%", int64(-3), "-2"},
		{-7.0, "//", int64(2), "-4.0"}, {5.0, "%", -3.0, "-1.0"}, {1.5, "//", 0.1, "14.0"},
		{int64(7), "/", int64(2), "3.5"}, {int64(4), "/", int64(2), "2.0"},
		{int64(math.MaxInt64), "+", int64(1), "9223372036854775808"},
		{int64(math.MinInt64), "-", int64(1), "-9223372036854775809"},
		{int64(math.MinInt64), "//", int64(-1), "9223372036854775808"},
		{int64(math.MinInt64), "*", int64(-1), "9223372036854775808"},
		{int64(3037000500), "*", int64(3037000500), "9223372037000250000"},
		{int64(-3), "*", int64(4), "-12"},
		{big1, "-", big1, "0"}, {big1, "//", int64(-7), "-1763668414462081128"}, {big1, "%", int64(-7), "-6"},
		{big1, "/", int64(2), "6.172839450617284e+18"}, {big1, "+", 0.5, "1.2345678901234567e+19"},
		{int64(2), "**", int64(100), "1267650600228229401496703205376"}, {int64(2), "**", int64(-1), "0.5"},
		{int64(2), "**", 0.5, "1.4142135623730951"}, {int64(-1), "**", big1, "1"},
		{true, "+", true, "2"}, {true, "/", int64(2), "0.5"},
		{int64(1), "/", int64(0), "ZeroDivisionError: division by zero"},
		{int64(1), "//", int64(0), "ZeroDivisionError: integer division or modulo by zero"},
		{int64(1), "%", int64(0), "ZeroDivisionError: integer modulo by zero"},
		{1.0, "%", int64(0), "ZeroDivisionError: float modulo"},
		{int64(0), "**", int64(-1), "ZeroDivisionError: 0.0 cannot be raised to a negative power"},
		{10.0, "**", int64(400), "OverflowError: (34, 'Numerical result out of range')"},
		{int64(1), "+", "a", "TypeError: unsupported operand type(s) for +: 'int' and 'str'"},
		{nil, "**", int64(2), "TypeError: unsupported operand type(s) for ** or pow(): 'NoneType' and 'int'"},
	} {
		v, err := value.Arith(c.op, c.a, c.b)
		got := value.Repr(v)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s %s %s: got %s, want %s", value.Repr(c.a), c.op, value.Repr(c.b), got, c.want)
		}
	}
	if _, err := value.Arith("**", int64(10), int64(10_000_000)); !errors.Is(err, value.ErrLimit) {
		t.Errorf("10 ** 10000000: got %v, want ErrLimit", err)
	}
	for _, c := range []struct {
		f      float64
		digits int
		want   float64
	}{{2.5, 0, 2}, {3.5, 0, 4}, {2.675, 2, 2.67}, {1250, -2, 1200}, {-0.4, 0, math.Copysign(0, -1)}, {1e300, 5, 1e300}} {
		if got := value.Round(c.f, c.digits); got != c.want {
			t.Errorf("round(%v, %d): got %v, want %v", c.f, c.digits, got, c.want)
		}
	}
}

func TestParseNumbersAsPythonDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		base int
		want string
	}{
		{" 42 ", 10, "42"}, {"-1_000", 10, "-1000"}, {"٤٢", 10, "42"}, {"ff", 16, "255"}, {"0xff", 16, "255"},
		{"0b11", 0, "3"}, {"z", 36, "35"}, {"123456789012345678901", 10, "123456789012345678901"},
		{"x", 10, "ValueError: invalid literal for int() with base 10: 'x'"},
		{"", 10, "ValueError: invalid literal for int() with base 10: ''"},
		{"1__0", 10, "ValueError: invalid literal for int() with base 10: '1__0'"},
		{"1.5", 10, "ValueError: invalid literal for int() with base 10: '1.5'"},
		{"012", 0, "ValueError: invalid literal for int() with base 0: '012'"},
	} {
		v, err := value.ParseInt(c.text, c.base)
		got := value.Repr(v)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("int(%q, %d): got %s, want %s", c.text, c.base, got, c.want)
		}
	}
	for text, want := range map[string]string{
		" 1.5 ": "1.5", "1e400": "inf", "-inf": "-inf", "1_0.5": "10.5", ".5": "0.5", "5.": "5.0", "NaN": "nan", "٣.٥": "3.5",
		"x": "ValueError: could not convert string to float: 'x'", "1__0": "ValueError: could not convert string to float: '1__0'",
		"0x10": "ValueError: could not convert string to float: '0x10'", "": "ValueError: could not convert string to float: ''",
	} {
		v, err := value.ParseFloat(text)
		got := value.FormatFloat(v)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("float(%q): got %s, want %s", text, got, want)
		}
	}
}

func TestJSONKeepsKindsAndOrder(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		`{"z":1,"a":1.0,"n":null,"l":[true,false,1e+16,12345678901234567890,-0.5],"s":"é\"\\\n\u0001世","e":{},"f":[]}`,
		`"x"`, `-0.0`, `{"":""}`,
	} {
		v := decode(t, s)
		got, err := value.Encode(v)
		if err != nil || string(got) != s {
			t.Errorf("got %s (%v), want %s", got, err, s)
		}
	}
	if got := value.Repr(decode(t, `{"a":1,"b":2,"a":3}`)); got != "{'a': 3, 'b': 2}" {
		t.Errorf("repeated key: got %s", got)
	}
	if got := value.Repr(decode(t, `"\ud83d\ude00\ud83d"`)); got != "'\U0001f600\ufffd'" {
		t.Errorf("surrogates: got %s", got)
	}
	for _, v := range []any{value.NewSet(int64(1)), math.NaN(), math.Inf(1), value.Bytes("x"), value.MapOf(value.Tuple{}, nil)} {
		if b, err := value.Encode(v); err == nil {
			t.Errorf("Encode(%s): got %s, want an error", value.Repr(v), b)
		}
	}
	if b, err := value.Encode(value.MapOf(int64(1), nil, true, nil, nil, nil, 1.5, nil)); err != nil ||
		string(b) != `{"1":null,"null":null,"1.5":null}` {
		t.Errorf("keys that are no strings: got %s, %v", b, err)
	}
}

func TestDecodeSaysWhatPythonSays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "Expecting value: line 1 column 1 (char 0)",
		"{":                      "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
		`{"a"}`:                  "Expecting ':' delimiter: line 1 column 5 (char 4)",
		`{"a":1 "b"}`:            "Expecting ',' delimiter: line 1 column 8 (char 7)",
		`{"a":}`:                 "Expecting value: line 1 column 6 (char 5)",
		"[1,\n 2":                "Expecting ',' delimiter: line 2 column 3 (char 6)",
		"[1,]":                   "Expecting value: line 1 column 4 (char 3)",
		"1 2":                    "Extra data: line 1 column 3 (char 2)",
		`"é`:                     "Unterminated string starting at: line 1 column 1 (char 0)",
		`"é\x"`:                  `Invalid \escape: line 1 column 3 (char 2)`,
		`"\u12"`:                 `Invalid \uXXXX escape: line 1 column 3 (char 2)`,
		"\"a\nb\"":               "Invalid control character at: line 1 column 3 (char 2)",
		"01":                     "Extra data: line 1 column 2 (char 1)",
		"-":                      "Expecting value: line 1 column 1 (char 0)",
		"1.":                     "Extra data: line 1 column 2 (char 1)",
		"nul":                    "Expecting value: line 1 column 1 (char 0)",
		strings.Repeat("[", 501): "Nested too deeply: line 1 column 501 (char 500)",
	} {
		_, err := value.DecodeString(text)
		if err == nil || err.Error() != want {
			t.Errorf("%.20q: got %v, want %s", text, err, want)
		}
	}
	if _, err := value.DecodeString("NaN"); err == nil {
		t.Error("NaN is not JSON")
	}
	if v, err := value.Loads("[NaN, -Infinity]"); err != nil || value.Repr(v) != "[nan, -inf]" {
		t.Errorf("Python's constants: got %s, %v", value.Repr(v), err)
	}
}

func TestDumpsIsPythons(t *testing.T) {
	t.Parallel()
	v := decode(t, `{"b": [1, 2.0, {}], "a": "é😀\u007f/", "c": {"x": null}}`)
	for _, c := range []struct {
		o    value.DumpOptions
		want string
	}{
		{value.DumpOptions{Indent: -1}, `{"b": [1, 2.0, {}], "a": "\u00e9\ud83d\ude00\u007f/", "c": {"x": null}}`},
		{value.DumpOptions{Indent: -1, ItemSeparator: ",", KeySeparator: ":", SortKeys: true, Raw: true},
			"{\"a\":\"é😀\x7f/\",\"b\":[1,2.0,{}],\"c\":{\"x\":null}}"},
		{value.DumpOptions{Indent: 2, SortKeys: true, Raw: true},
			"{\n  \"a\": \"é😀\x7f/\",\n  \"b\": [\n    1,\n    2.0,\n    {}\n  ],\n  \"c\": {\n    \"x\": null\n  }\n}"},
	} {
		if got, err := value.Dumps(v, c.o, nil); err != nil || got != c.want {
			t.Errorf("%+v:\ngot  %s (%v)\nwant %s", c.o, got, err, c.want)
		}
	}
	if _, err := value.Dumps(value.NewSet(), value.DumpOptions{}, nil); err == nil ||
		err.Error() != "TypeError: Object of type set is not JSON serializable" {
		t.Errorf("a set: got %v", err)
	}
	if _, err := value.Dumps(v, value.DumpOptions{}, value.NewBudget(1, 5)); !errors.Is(err, value.ErrLimit) {
		t.Errorf("beyond the budget: got %v", err)
	}
}

func TestMapKeepsOrderWhileItGrowsAndShrinks(t *testing.T) {
	t.Parallel()
	m := value.NewMap(0)
	for i := range 40 {
		m.Set(int64(i), i)
		m.Set(fmt.Sprint(i), i)
	}
	m.Set(3.0, "changed")
	for i := 0; i < 40; i += 2 {
		if !m.Delete(int64(i)) || m.Delete(int64(i)) {
			t.Fatalf("delete %d", i)
		}
	}
	if m.Len() != 60 {
		t.Fatalf("got %d entries, want 60", m.Len())
	}
	if k, v := m.At(4); k != int64(3) || v != "changed" {
		t.Errorf("entry 4: got %v, %v", k, v)
	}
	c := m.Clone()
	c.Set("new", nil)
	if m.Has("new") || !c.Has("39") || !c.Has(true) {
		t.Error("a clone is a map of its own with the same entries")
	}
	if _, ok := m.Str("38"); !ok {
		t.Error("a string key is lost")
	}
	var none *value.Map
	if _, ok := none.Get("x"); ok || none.Len() != 0 || none.Has(nil) {
		t.Error("a nil map is empty")
	}
}

func TestSetOperations(t *testing.T) {
	t.Parallel()
	a, b := value.NewSet(int64(1), int64(2)), value.NewSet(2.0, int64(3))
	for _, c := range []struct {
		got  *value.Set
		want string
	}{{a.Union(b), "{1, 2, 3}"}, {a.Intersect(b), "{2}"}, {a.Minus(b), "{1}"}} {
		if got := value.Repr(c.got); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if a.Add(true) || !a.Delete(1.0) || a.Has(int64(1)) {
		t.Error("1, 1.0 and True are one member")
	}
}

func TestHashableRefusesWhatPythonRefuses(t *testing.T) {
	t.Parallel()
	for _, v := range []any{value.List{}, &value.Array{}, value.MapOf(), value.NewSet(), value.Tuple{value.List{}}} {
		if value.Hashable(v) == nil {
			t.Errorf("%s is not hashable", value.Repr(v))
		}
	}
	for _, v := range []any{nil, "a", int64(1), value.Tuple{int64(1), "a"}, value.Bytes("x")} {
		if err := value.Hashable(v); err != nil {
			t.Errorf("%s: %v", value.Repr(v), err)
		}
	}
	if value.HashKey(value.List{"a", "b"}) == value.HashKey(value.List{"ab"}) {
		t.Error("different lists share a key")
	}
}

func TestFromGo(t *testing.T) {
	t.Parallel()
	v, err := value.FromGo(map[string]any{"b": []any{1, uint64(math.MaxUint64), float32(0.5)}, "a": map[string]string{"x": "y"}})
	if err != nil || value.Repr(v) != "{'a': {'x': 'y'}, 'b': [1, 18446744073709551615, 0.5]}" {
		t.Errorf("got %s, %v", value.Repr(v), err)
	}
	if _, err := value.FromGo(make(chan int)); err == nil {
		t.Error("a channel is not a value")
	}
	p := value.Plain(value.MapOf("a", value.Tuple{&value.Array{Items: value.List{int64(1)}}}))
	if !value.Equal(p, value.MapOf("a", value.List{value.List{int64(1)}})) {
		t.Errorf("Plain: got %s", value.Repr(p))
	}
}

func TestBudgetStaysUsedUp(t *testing.T) {
	t.Parallel()
	b := value.NewBudget(2, 10)
	if b.Step(2) != nil || b.Grow(10) != nil {
		t.Fatal("what is allowed was refused")
	}
	for range 2 {
		if !errors.Is(b.Step(1), value.ErrLimit) || !errors.Is(b.Grow(1), value.ErrLimit) {
			t.Error("what is not allowed was granted")
		}
	}
	var none *value.Budget
	if none.Step(1<<30) != nil || none.Grow(1<<30) != nil {
		t.Error("a nil budget has no bounds")
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,1.0,"x",null]}`, `"\ud83d"`, "[1e999]", "-", `{"a":1,"a":2}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := value.DecodeString(s)
		if err != nil {
			return
		}
		b, err := value.Encode(v)
		if err != nil {
			return // a number too large for a float
		}
		w, err := value.Decode(b)
		if err != nil || !value.Equal(v, w) {
			t.Errorf("%q became %q: %v", s, b, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	s := `{"host":"web1","cpu":0.93,"tags":["a","b"],"n":{"x":1,"y":[1,2,3]},"message":"disk is full on /var"}`
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := value.DecodeString(s); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleRepr() {
	v, _ := value.DecodeString(`{"ok": true, "load": 1.0, "hosts": ["web1"], "why": null}`)
	fmt.Println(value.Repr(v))
	// Output: {'ok': True, 'load': 1.0, 'hosts': ['web1'], 'why': None}
}
