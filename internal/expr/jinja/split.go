package jinja

import (
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func splitter(name string, split func(t string, sep string, most int) []string) textMethod {
	return func(s *state, t string, c *Call) (any, error) {
		a, err := c.Bind(name, 0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		most := -1
		if n, ok := a[1].(int64); ok {
			most = int(min(max(n, -1), 1<<30))
		}
		sep := ""
		if a[0] != nil && a[0] != (Absent{}) {
			x, ok := asText(a[0])
			if !ok {
				return nil, value.TypeErrorf("must be str or None, not %s", value.Type(a[0]))
			}
			if sep = x; sep == "" {
				return nil, value.ValueErrorf("empty separator")
			}
		}
		return s.texts(split(t, sep, most))
	}
}

// texts makes a list of strings.
func (s *state) texts(parts []string) (any, error) {
	items := make([]any, len(parts))
	n := 0
	for i, p := range parts {
		items[i] = p
		n += len(p)
	}
	if err := s.grow(n); err != nil {
		return nil, err
	}
	return s.list(items)
}

// splitText splits at sep, or at white space where sep is empty, at most so many
// times (any number where it is negative).
func splitText(t, sep string, most int) []string {
	if sep != "" {
		if most < 0 {
			return strings.Split(t, sep)
		}
		return strings.SplitN(t, sep, most+1)
	}
	var out []string
	t = strings.TrimLeftFunc(t, isSpace)
	for t != "" {
		i := strings.IndexFunc(t, isSpace)
		if i < 0 || most >= 0 && len(out) == most {
			if most >= 0 && len(out) == most {
				t = strings.TrimRightFunc(t, isSpace)
			}
			return append(out, t)
		}
		out = append(out, t[:i])
		t = strings.TrimLeftFunc(t[i:], isSpace)
	}
	return out
}

func rsplitText(t, sep string, most int) []string {
	if most < 0 {
		return splitText(t, sep, most)
	}
	var out []string
	if sep == "" {
		t = strings.TrimRightFunc(t, isSpace)
		for t != "" {
			i := strings.LastIndexFunc(t, isSpace)
			if i < 0 || len(out) == most {
				if len(out) == most {
					t = strings.TrimLeftFunc(t, isSpace)
				}
				out = append(out, t)
				break
			}
			_, n := utf8.DecodeRuneInString(t[i:])
			out = append(out, t[i+n:])
			t = strings.TrimRightFunc(t[:i], isSpace)
		}
	} else {
		for len(out) < most {
			i := strings.LastIndex(t, sep)
			if i < 0 {
				break
			}
			out = append(out, t[i+len(sep):])
			t = t[:i]
		}
		out = append(out, t)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func textLines(s *state, t string, c *Call) (any, error) {
	a, err := c.Bind("splitlines", 0, "keepends")
	if err != nil {
		return nil, err
	}
	return s.texts(splitLines(t, a[0] != Absent{} && value.Truth(a[0])))
}

// splitLines splits at all of Unicode's line boundaries.
func splitLines(t string, keep bool) []string {
	var out []string
	for t != "" {
		i := strings.IndexAny(t, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			return append(out, t)
		}
		_, n := utf8.DecodeRuneInString(t[i:])
		if strings.HasPrefix(t[i:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, t[:i+n])
		} else {
			out = append(out, t[:i])
		}
		t = t[i+n:]
	}
	return out
}

func partition(name string, find func(t, x string) int) textMethod {
	return func(_ *state, t string, c *Call) (any, error) {
		if err := positional(c, name, 1, 1); err != nil {
			return nil, err
		}
		x, ok := asText(c.Args[0])
		if !ok {
			return nil, value.TypeErrorf("must be str, not %s", value.Type(c.Args[0]))
		}
		if x == "" {
			return nil, value.ValueErrorf("empty separator")
		}
		if i := find(t, x); i >= 0 {
			return value.Tuple{t[:i], x, t[i+len(x):]}, nil
		}
		if name == "rpartition" {
			return value.Tuple{"", "", t}, nil
		}
		return value.Tuple{t, "", ""}, nil
	}
}
