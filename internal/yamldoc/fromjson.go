package yamldoc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// FromJSON writes a JSON value as a YAML document in block style: keys in their
// order, and whatever a reader of YAML 1.1 would take for something else in
// quotes, so that Parse gives the value back. Text that is not JSON, or is nested
// deeper than 1 000 levels, is an error.
func FromJSON(raw json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	n, err := treeOf(d, 0)
	if err != nil {
		return nil, fmt.Errorf("write JSON as YAML: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("write JSON as YAML: more text after the value")
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("write JSON as YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("write JSON as YAML: %w", err)
	}
	return b.Bytes(), nil
}

const maxWrittenDepth = 1000

// treeOf reads the next value of a stream of JSON tokens.
func treeOf(d *json.Decoder, depth int) (*yaml.Node, error) {
	if depth > maxWrittenDepth {
		return nil, errors.New("nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		return collectionOf(d, t, depth)
	case string:
		return textOf(t), nil
	case json.Number:
		return plain(numberText(t)), nil
	case bool:
		return plain(strconv.FormatBool(t)), nil
	}
	return plain("null"), nil
}

func collectionOf(d *json.Decoder, open json.Delim, depth int) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: tagSeq}
	if open == '{' {
		n.Kind, n.Tag = yaml.MappingNode, tagMap
	}
	for d.More() {
		c, err := treeOf(d, depth+1) // of a mapping: keys and values in turn
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, c)
	}
	if _, err := d.Token(); err != nil { // the end of the collection
		return nil, err
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}

// plain is a scalar that stands as written, without quotes and tag.
func plain(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
}

// textOf quotes what would be read as something else, or cannot stand plainly.
func textOf(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: tagStr, Value: s}
	odd := func(r rune) bool { return r != '\n' && (!unicode.IsPrint(r) || r == '\u00a0') }
	if resolve(s) != tagStr || strings.ContainsFunc(s, odd) || strings.HasPrefix(s, "\n") || strings.HasPrefix(s, " ") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// numberText writes a JSON number as YAML 1.1 knows it: a float has a point, and
// a sign in its exponent.
func numberText(j json.Number) string {
	s := j.String()
	if s == "-0" {
		return "0"
	}
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := j.Float64()
	switch {
	case err != nil && s[0] == '-': // beyond a float's range
		return "-.inf"
	case err != nil:
		return ".inf"
	}
	text := string(appendFloat(nil, f))
	if i := strings.IndexByte(text, 'e'); i >= 0 && !strings.Contains(text, ".") {
		text = text[:i] + ".0" + text[i:]
	}
	return text
}
