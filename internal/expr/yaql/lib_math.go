package yaql

import (
	"math"
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func mathLibrary() []*overload {
	two := []param{p("left", tNumber), p("right", tNumber)}
	ints := []param{p("left", tInt), p("right", tInt)}
	out := []*overload{
		fn("#unary_operator_+", func(f *frame) (any, error) { return f.args[0], nil }, p("op", tNumber)),
		fn("#unary_operator_-", func(f *frame) (any, error) { return value.Neg(f.args[0]) }, p("op", tNumber)),
		fn("#operator_/", doDivide, two...),
		fn("abs", func(f *frame) (any, error) { return value.Abs(f.args[0]) }, p("op", tNumber)),
		fn("int", doInt, p("value", tAny)),
		fn("float", doFloat, p("value", tAny)),
		fn("random", doRandom),
		fn("random", doRandomInt, p("from", tAny), p("to", tAny)),
		fn("bitwiseAnd", bitwise((*big.Int).And), ints...),
		fn("bitwiseOr", bitwise((*big.Int).Or), ints...),
		fn("bitwiseXor", bitwise((*big.Int).Xor), ints...),
		fn("bitwiseNot", doBitwiseNot, p("arg", tInt)),
		fn("shiftBitsRight", doShiftRight, p("value", tInt), p("bitsNumber", tInt)),
		fn("shiftBitsLeft", doShiftLeft, p("value", tInt), p("bitsNumber", tInt)),
		fn("max", doMax2, p("a", tAny), p("b", tAny)),
		fn("min", doMin2, p("a", tAny), p("b", tAny)),
		fn("pow", doPow, p("a", tNumber), p("b", tNumber), opt("c", tNumberN, nil)),
		fn("sign", doSign, p("num", tNumber)),
		fn("round", doRound, p("number", tNumber), opt("ndigits", tInt, int64(0))),
		fn("isInteger", func(f *frame) (any, error) { return value.IsInt(f.args[0]), nil }, p("value", tAny)),
		fn("isNumber", func(f *frame) (any, error) { return f.args[0] != nil && tNumber.holds(f.args[0]), nil }, p("value", tAny)),
		fn("hex", doHex, p("num", tNumberN)),
	}
	for _, o := range []struct{ name, op string }{{"+", "+"}, {"-", "-"}, {"*", "*"}, {"mod", "%"}} {
		out = append(out, fn("#operator_"+o.name, func(f *frame) (any, error) {
			return value.Arith(o.op, f.args[0], f.args[1])
		}, two...))
	}
	for _, name := range []string{"<", "<=", ">", ">="} {
		out = append(out, fn("#operator_"+name, func(f *frame) (any, error) {
			return value.Order(name, f.args[0], f.args[1])
		}, two...))
	}
	return out
}

// doDivide is floor division between integers.
func doDivide(f *frame) (any, error) {
	if value.IsInt(f.args[0]) && value.IsInt(f.args[1]) {
		return value.Arith("//", f.args[0], f.args[1])
	}
	return value.Arith("/", f.args[0], f.args[1])
}

func doInt(f *frame) (any, error) {
	switch v := f.args[0].(type) {
	case nil:
		return int64(0), nil
	case bool:
		return clampInt(v), nil
	case int64, *big.Int:
		return v, nil
	case float64:
		return value.Float(v)
	case string:
		return value.ParseInt(v, 10)
	default:
		return nil, Raise("TypeError", "int() argument must be a string, a bytes-like object or a real number, not '%s'", typeName(v))
	}
}

func doFloat(f *frame) (any, error) {
	switch v := f.args[0].(type) {
	case nil:
		return 0.0, nil
	case string:
		return value.ParseFloat(v)
	default:
		if !value.IsNumber(v) {
			return nil, Raise("TypeError", "float() argument must be a string or a real number, not '%s'", typeName(v))
		}
		return value.ToFloat(v)
	}
}

func (ev *evaluator) random() (uint64, error) {
	if ev.ctx.Rand == nil {
		return 0, Raise("RuntimeError", "there is no source of random numbers here")
	}
	return ev.ctx.Rand.Uint64(), nil
}

func doRandom(f *frame) (any, error) {
	u, err := f.ev.random()
	return float64(u>>11) / (1 << 53), err
}

// doRandomInt gives an integer between two others, both included.
func doRandomInt(f *frame) (any, error) {
	lo, ok1 := value.ToBig(f.args[0])
	hi, ok2 := value.ToBig(f.args[1])
	if !ok1 || !ok2 {
		bad := f.args[0]
		if ok1 {
			bad = f.args[1]
		}
		return nil, Raise("TypeError", "'%s' object cannot be interpreted as an integer", typeName(bad))
	}
	width := new(big.Int).Sub(hi, lo)
	width.Add(width, big.NewInt(1))
	if width.Sign() <= 0 {
		return nil, Raise("ValueError", "empty range for randrange() (%s, %s, %s)", lo, new(big.Int).Add(hi, big.NewInt(1)), width)
	}
	if width.BitLen() > 4096 {
		return nil, limit("random number of more than %d bits", 4096)
	}
	n := new(big.Int)
	for range (width.BitLen()+63)/64 + 1 {
		u, err := f.ev.random()
		if err != nil {
			return nil, err
		}
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(u))
	}
	n.Mod(n, width)
	return value.BigInt(n.Add(n, lo)), nil
}

// bitwise makes a function of an operation on integers; two bools give a bool.
func bitwise(op func(z, x, y *big.Int) *big.Int) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		x, _ := value.ToBig(f.args[0])
		y, _ := value.ToBig(f.args[1])
		z := op(new(big.Int), x, y)
		_, ok1 := f.args[0].(bool)
		_, ok2 := f.args[1].(bool)
		if ok1 && ok2 {
			return z.Sign() != 0, nil
		}
		return value.BigInt(z), nil
	}
}

func doBitwiseNot(f *frame) (any, error) {
	x, _ := value.ToBig(f.args[0])
	return value.BigInt(new(big.Int).Not(x)), nil
}

// maxShift bounds the integers that shifting makes.
const maxShift = 1 << 18

func doShiftLeft(f *frame) (any, error) {
	n := f.int(1)
	x, _ := value.ToBig(f.args[0])
	switch {
	case n < 0:
		return nil, Raise("ValueError", "negative shift count")
	case x.Sign() == 0:
		return int64(0), nil
	case n > maxShift || int64(x.BitLen())+n > maxShift:
		return nil, limit("integer of more than %d bits", maxShift)
	}
	return value.BigInt(new(big.Int).Lsh(x, uint(n))), nil
}

func doShiftRight(f *frame) (any, error) {
	n := f.int(1)
	if n < 0 {
		return nil, Raise("ValueError", "negative shift count")
	}
	x, _ := value.ToBig(f.args[0])
	return value.BigInt(new(big.Int).Rsh(x, uint(min(n, 1<<30)))), nil
}

// larger is the operator >, as max and min use it.
func (f *frame) larger(a, b any) (bool, error) {
	v, err := f.ev.operate(opGreater, a, b, f.sc)
	return truth(v), err
}

func (f *frame) max2(a, b any) (any, error) {
	if gt, err := f.larger(b, a); err != nil || gt {
		return b, err
	}
	return a, nil
}

func (f *frame) min2(a, b any) (any, error) {
	if gt, err := f.larger(b, a); err != nil || gt {
		return a, err
	}
	return b, nil
}

func doMax2(f *frame) (any, error) { return f.max2(f.args[0], f.args[1]) }

func doMin2(f *frame) (any, error) { return f.min2(f.args[0], f.args[1]) }

func doPow(f *frame) (any, error) {
	if f.args[2] == nil {
		v, err := value.Arith("**", f.args[0], f.args[1])
		if b, ok := v.(*big.Int); ok && err == nil {
			err = f.ev.budget.Step(b.BitLen() / 16)
		}
		return v, err
	}
	a, ok1 := value.ToBig(f.args[0])
	b, ok2 := value.ToBig(f.args[1])
	c, ok3 := value.ToBig(f.args[2])
	if !ok1 || !ok2 || !ok3 {
		return nil, Raise("TypeError", "pow() 3rd argument not allowed unless all arguments are integers")
	}
	if c.Sign() == 0 {
		return nil, Raise("ValueError", "pow() 3rd argument cannot be 0")
	}
	if b.BitLen() > 4096 || c.BitLen() > 4096 || a.BitLen() > 1<<16 {
		return nil, limit("power of numbers of more than %d bits", 4096)
	}
	if err := f.ev.budget.Step(b.BitLen() * (1 + c.BitLen()/64)); err != nil {
		return nil, err
	}
	m := new(big.Int).Abs(c)
	z := new(big.Int).Exp(a, b, m)
	if z == nil {
		return nil, Raise("ValueError", "base is not invertible for the given modulus")
	}
	if c.Sign() < 0 && z.Sign() > 0 {
		z.Add(z, c)
	}
	return value.BigInt(z), nil
}

func doSign(f *frame) (any, error) {
	switch v := f.args[0].(type) {
	case int64:
		return min(1, max(-1, v)), nil
	case *big.Int:
		return int64(v.Sign()), nil
	case float64:
		if v > 0 {
			return int64(1), nil
		} else if v < 0 {
			return int64(-1), nil
		}
	}
	return int64(0), nil
}

// doRound rounds halves to even; integers stay integers.
func doRound(f *frame) (any, error) {
	digits := f.int(1)
	if v, ok := f.args[0].(float64); ok {
		r := value.Round(v, int(max(-1000, min(digits, 1000))))
		if math.IsInf(r, 0) && !math.IsInf(v, 0) {
			return nil, Raise("OverflowError", "rounded value too large to represent")
		}
		return r, nil
	}
	if digits >= 0 {
		return f.args[0], nil
	}
	x, _ := value.ToBig(f.args[0])
	if digits < -100_000 {
		return int64(0), nil
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-digits), nil)
	q, r := new(big.Int).DivMod(x, unit, new(big.Int))
	switch r.Lsh(r, 1).Cmp(unit) {
	case 1:
		q.Add(q, big.NewInt(1))
	case 0:
		if q.Bit(0) == 1 {
			q.Add(q, big.NewInt(1))
		}
	}
	return value.BigInt(q.Mul(q, unit)), nil
}

func doHex(f *frame) (any, error) {
	x, ok := value.ToBig(f.args[0])
	if !ok {
		return nil, Raise("TypeError", "'%s' object cannot be interpreted as an integer", typeName(f.args[0]))
	}
	if x.Sign() < 0 {
		return "-0x" + new(big.Int).Neg(x).Text(16), nil
	}
	return "0x" + x.Text(16), nil
}
