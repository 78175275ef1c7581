package value

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
)

// maxBits bounds the integers that arithmetic makes: about 80 000 decimal digits.
const maxBits = 1 << 18

// IsInt says whether v is an integer, without bool.
func IsInt(v any) bool {
	switch v.(type) {
	case int64, *big.Int:
		return true
	}
	return false
}

// IsNumber says whether v takes part in arithmetic: an integer, a float or a
// bool, which Python counts among the integers.
func IsNumber(v any) bool {
	switch v.(type) {
	case int64, float64, bool, *big.Int:
		return true
	}
	return false
}

// BigInt returns i as a value: int64 where it fits. It takes possession of i.
func BigInt(i *big.Int) any {
	if i.IsInt64() {
		return i.Int64()
	}
	return i
}

// ToBig returns an integer or bool as a big integer that must not be changed.
func ToBig(v any) (*big.Int, bool) {
	switch v := plain(v).(type) {
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

// ToFloat returns a number as a float64. An integer outside its range gives
// Python's OverflowError.
func ToFloat(v any) (float64, error) {
	switch v := plain(v).(type) {
	case int64:
		return float64(v), nil
	case float64:
		return v, nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			return 0, Raise("OverflowError", "int too large to convert to float")
		}
		return f, nil
	}
	return 0, TypeErrorf("must be real number, not %s", Type(v))
}

// Float returns an integral float as an integer value, cut toward zero.
func Float(f float64) (any, error) {
	switch {
	case math.IsNaN(f):
		return nil, ValueErrorf("cannot convert float NaN to integer")
	case math.IsInf(f, 0):
		return nil, Raise("OverflowError", "cannot convert float infinity to integer")
	case f >= -1<<63 && f < 1<<63:
		return int64(f), nil
	}
	i, _ := big.NewFloat(f).Int(nil)
	return i, nil
}

// plain turns a bool into the integer it is.
func plain(v any) any {
	if b, ok := v.(bool); ok {
		if b {
			return int64(1)
		}
		return int64(0)
	}
	return v
}

// Arith is Python's a op b on numbers, for op one of + - * / // % **. Other
// operands give the TypeError that Python gives; what a language lets +, * and %
// do with strings and lists is its own. Results that would be too large give
// ErrLimit.
func Arith(op string, a, b any) (any, error) {
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			return arithInt(op, x, y)
		}
	}
	if !IsNumber(a) || !IsNumber(b) {
		return nil, Unsupported(op, a, b)
	}
	x, y := plain(a), plain(b)
	_, xf := x.(float64)
	_, yf := y.(float64)
	if xf || yf {
		f, err := ToFloat(x)
		if err != nil {
			return nil, err
		}
		g, err := ToFloat(y)
		if err != nil {
			return nil, err
		}
		return arithFloat(op, f, g)
	}
	if i, ok := x.(int64); ok {
		if j, ok := y.(int64); ok {
			return arithInt(op, i, j)
		}
	}
	i, _ := ToBig(x)
	j, _ := ToBig(y)
	return arithBig(op, i, j)
}

// Unsupported is Python's TypeError for an operator that its operands lack.
func Unsupported(op string, a, b any) error {
	if op == "**" {
		op = "** or pow()"
	}
	return TypeErrorf("unsupported operand type(s) for %s: '%s' and '%s'", op, Type(a), Type(b))
}

func arithInt(op string, x, y int64) (any, error) {
	switch op {
	case "+":
		if s := x + y; (s > x) == (y > 0) {
			return s, nil
		}
	case "-":
		if s := x - y; (s < x) == (y > 0) {
			return s, nil
		}
	case "*":
		hi, lo := bits.Mul64(uint64(x), uint64(y))
		// The high word of the signed product.
		h := int64(hi) - (x>>63)&y - (y>>63)&x
		if h == int64(lo)>>63 {
			return int64(lo), nil
		}
	case "/":
		if y == 0 {
			return nil, Raise("ZeroDivisionError", "division by zero")
		}
		if x > -1<<53 && x < 1<<53 && y > -1<<53 && y < 1<<53 {
			return float64(x) / float64(y), nil
		}
	case "//", "%":
		if y == 0 {
			return nil, divisionByZero(op)
		}
		if y == -1 {
			break // the quotient of the smallest integer does not fit
		}
		q, r := x/y, x%y
		if r != 0 && (r < 0) != (y < 0) {
			q, r = q-1, r+y
		}
		if op == "%" {
			return r, nil
		}
		return q, nil
	}
	return arithBig(op, big.NewInt(x), big.NewInt(y))
}

func divisionByZero(op string) error {
	if op == "%" {
		return Raise("ZeroDivisionError", "integer modulo by zero")
	}
	return Raise("ZeroDivisionError", "integer division or modulo by zero")
}

func arithBig(op string, x, y *big.Int) (any, error) {
	z := new(big.Int)
	switch op {
	case "+":
		return BigInt(z.Add(x, y)), nil
	case "-":
		return BigInt(z.Sub(x, y)), nil
	case "*":
		if x.BitLen()+y.BitLen() > maxBits {
			return nil, fmt.Errorf("multiply integers: %w", ErrLimit)
		}
		return BigInt(z.Mul(x, y)), nil
	case "/":
		if y.Sign() == 0 {
			return nil, Raise("ZeroDivisionError", "division by zero")
		}
		f, _ := new(big.Rat).SetFrac(x, y).Float64()
		if math.IsInf(f, 0) {
			return nil, Raise("OverflowError", "integer division result too large for a float")
		}
		return f, nil
	case "//", "%":
		if y.Sign() == 0 {
			return nil, divisionByZero(op)
		}
		q, r := z.QuoRem(x, y, new(big.Int))
		if r.Sign() != 0 && (r.Sign() < 0) != (y.Sign() < 0) {
			q.Sub(q, big.NewInt(1))
			r.Add(r, y)
		}
		if op == "%" {
			return BigInt(r), nil
		}
		return BigInt(q), nil
	case "**":
		return powBig(x, y)
	}
	return nil, TypeErrorf("unknown operator %s", op)
}

func powBig(x, y *big.Int) (any, error) {
	if y.Sign() < 0 {
		f, err := ToFloat(BigInt(new(big.Int).Set(x)))
		if err != nil {
			return nil, err
		}
		g, err := ToFloat(BigInt(new(big.Int).Set(y)))
		if err != nil {
			return nil, err
		}
		return arithFloat("**", f, g)
	}
	if x.IsInt64() && x.Int64() >= -1 && x.Int64() <= 1 {
		switch {
		case y.Sign() == 0 || x.Int64() == 1 || x.Int64() == -1 && y.Bit(0) == 0:
			return int64(1), nil
		}
		return x.Int64(), nil
	}
	if !y.IsInt64() || y.Int64() > maxBits || int64(x.BitLen()-1)*y.Int64() > maxBits {
		return nil, fmt.Errorf("raise an integer to a power: %w", ErrLimit)
	}
	return BigInt(new(big.Int).Exp(x, y, nil)), nil
}

func arithFloat(op string, x, y float64) (any, error) {
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "/":
		if y == 0 {
			return nil, Raise("ZeroDivisionError", "float division by zero")
		}
		return x / y, nil
	case "//":
		if y == 0 {
			return nil, Raise("ZeroDivisionError", "float floor division by zero")
		}
		q, _ := floatDivMod(x, y)
		return q, nil
	case "%":
		if y == 0 {
			return nil, Raise("ZeroDivisionError", "float modulo")
		}
		_, r := floatDivMod(x, y)
		return r, nil
	case "**":
		return powFloat(x, y)
	}
	return nil, TypeErrorf("unknown operator %s", op)
}

// floatDivMod is Python's divmod of floats: the remainder has the divisor's sign.
func floatDivMod(x, y float64) (q, r float64) {
	r = math.Mod(x, y)
	q = (x - r) / y
	if r != 0 {
		if (y < 0) != (r < 0) {
			r += y
			q--
		}
	} else {
		r = math.Copysign(0, y)
	}
	if q == 0 {
		return math.Copysign(0, x/y), r
	}
	f := math.Floor(q)
	if q-f > 0.5 {
		f++
	}
	return f, r
}

func powFloat(x, y float64) (any, error) {
	if x == 0 && y < 0 {
		return nil, Raise("ZeroDivisionError", "0.0 cannot be raised to a negative power")
	}
	if x < 0 && y != math.Trunc(y) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, ValueErrorf("negative number cannot be raised to a fractional power")
	}
	z := math.Pow(x, y)
	if math.IsInf(z, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return nil, Raise("OverflowError", "(34, 'Numerical result out of range')")
	}
	return z, nil
}

// Neg is Python's -v.
func Neg(v any) (any, error) {
	switch x := plain(v).(type) {
	case int64:
		if x != math.MinInt64 {
			return -x, nil
		}
		return new(big.Int).Neg(big.NewInt(x)), nil
	case float64:
		return -x, nil
	case *big.Int:
		return BigInt(new(big.Int).Neg(x)), nil
	}
	return nil, TypeErrorf("bad operand type for unary -: '%s'", Type(v))
}

// Pos is Python's +v.
func Pos(v any) (any, error) {
	if IsNumber(v) {
		return plain(v), nil
	}
	return nil, TypeErrorf("bad operand type for unary +: '%s'", Type(v))
}

// Abs is Python's abs(v).
func Abs(v any) (any, error) {
	switch x := plain(v).(type) {
	case int64:
		if x < 0 {
			return Neg(x)
		}
		return x, nil
	case float64:
		return math.Abs(x), nil
	case *big.Int:
		return BigInt(new(big.Int).Abs(x)), nil
	}
	return nil, TypeErrorf("bad operand type for abs(): '%s'", Type(v))
}

// Round is Python's round(f, digits): halves go to the even neighbour, and the
// decimal text of the float decides what is a half.
func Round(f float64, digits int) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) || digits > 330 {
		return f
	}
	if digits < -330 {
		return math.Copysign(0, f)
	}
	r := new(big.Rat).SetFloat64(f)
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(absInt(digits))), nil))
	if digits < 0 {
		scale.Inv(scale)
	}
	r.Mul(r, scale)
	n := roundHalfEven(r)
	out, _ := new(big.Rat).Quo(new(big.Rat).SetInt(n), scale).Float64()
	return math.Copysign(out, f)
}

func absInt(i int) int {
	if i < 0 {
		return -i
	}
	return i
}

func roundHalfEven(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	switch m.Lsh(m, 1).Cmp(r.Denom()) {
	case 1:
		q.Add(q, big.NewInt(1))
	case 0:
		if q.Bit(0) == 1 {
			q.Add(q, big.NewInt(1))
		}
	}
	return q
}
