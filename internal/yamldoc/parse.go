package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Options say how a document is read. The zero value reads one document with
// the default bounds and warns of duplicate keys.
type Options struct {
	File             string // for messages
	RefuseDuplicates bool   // a duplicate key is an error rather than a warning
	MaxBytes         int    // default 4 MiB
	MaxDepth         int    // default 100, aliases expanded
	MaxValues        int    // default 1 000 000, aliases expanded
	// Tags are tags of one's own that stand for a mapping with that one key, as
	// !Ref X of CloudFormation's templates stands for {Ref: X}.
	Tags map[string]string
}

// The default bounds.
const (
	defaultMaxBytes  = 4 << 20
	defaultMaxDepth  = 100
	defaultMaxValues = 1_000_000
	maxDocuments     = 1000
	maxFindings      = 200
)

// Parse reads the one document of src; an empty text is null. The findings are
// all that could be found; the node is nil when one of them is an error that
// leaves no document. More than one document is an error.
func Parse(src []byte, o Options) (*Node, []Diagnostic) {
	r := newReader(src, o)
	docs := r.read(1)
	if len(docs) == 0 {
		if HasErrors(r.found) {
			return nil, r.found
		}
		return &Node{line: 1, column: 1, height: 1, size: 1}, r.found
	}
	return docs[0], r.found
}

// ParseAll reads every document of src.
func ParseAll(src []byte, o Options) ([]*Node, []Diagnostic) {
	r := newReader(src, o)
	docs := r.read(maxDocuments)
	return docs, r.found
}

// reader turns the library's syntax trees into nodes.
type reader struct {
	Options
	src    []byte
	found  []Diagnostic
	nodes  map[*yaml.Node]*Node // anchored ones; nil while one is being read
	merged int                  // entries that merge keys have copied
}

func newReader(src []byte, o Options) *reader {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxDepth <= 0 {
		o.MaxDepth = defaultMaxDepth
	}
	if o.MaxValues <= 0 {
		o.MaxValues = defaultMaxValues
	}
	return &reader{Options: o, src: src}
}

// tooDeep ends reading: what follows would only repeat it.
var tooDeep = errors.New("nested too deeply")

func (r *reader) report(line, column int, s Severity, code, message string) {
	if len(r.found) >= maxFindings {
		return
	}
	r.found = append(r.found, Diagnostic{File: r.File, Line: line, Column: column, Severity: s, Code: code, Message: message})
}

func (r *reader) read(limit int) []*Node {
	if len(r.src) > r.MaxBytes {
		r.report(0, 0, Error, "too-large", fmt.Sprintf("the file has %d bytes; at most %d are read", len(r.src), r.MaxBytes))
		return nil
	}
	var docs []*Node
	dec := yaml.NewDecoder(bytes.NewReader(r.src))
	for {
		var tree yaml.Node
		err := decode(dec, &tree)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			r.syntaxError(err)
			return nil
		}
		if len(docs) == limit {
			r.report(tree.Line, tree.Column, Error, "second-document", "expected one document, found another")
			return nil
		}
		n := r.document(&tree)
		if n == nil {
			return nil
		}
		docs = append(docs, n)
	}
}

// decode reads one document's tree. A panic of the library is an error of the
// text: it must not take the process down.
func decode(dec *yaml.Decoder, tree *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: cannot be read: %v", p)
		}
	}()
	return dec.Decode(tree)
}

var (
	errorLine     = regexp.MustCompile(`^line (\d+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '([^']*)' referenced`)
)

// fromHereOn are the library's messages about a collection that does not end as
// it should. Their line is counted from 0, and it is the one where the collection
// begins, or, where that is the first line, the one where the trouble is.
var fromHereOn = []string{"did not find expected key", "did not find expected '-' indicator",
	"did not find expected ',' or ']'", "did not find expected ',' or '}'"}

// syntaxError reports the library's error at the place it names.
func (r *reader) syntaxError(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line, column := 1, 0
	if m := errorLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits by the pattern
		text = text[len(m[0]):]
		if slices.Contains(fromHereOn, text) {
			line++
		}
	} else if m := unknownAnchor.FindStringSubmatch(text); m != nil {
		line, column = r.find("*" + m[1])
		text = fmt.Sprintf("there is no anchor &%s before this alias", m[1])
	}
	if slices.Contains(fromHereOn, text) {
		text += ": check indentation, brackets and quotes from here on"
	}
	if column == 0 {
		column = r.indentOf(line)
	}
	r.report(line, column, Error, "syntax", text)
}

// indentOf returns the column of the first character of a line that is not blank.
func (r *reader) indentOf(line int) int {
	rest := r.src
	for range line - 1 {
		_, rest, _ = bytes.Cut(rest, []byte{'\n'})
	}
	rest, _, _ = bytes.Cut(rest, []byte{'\n'})
	return 1 + len(rest) - len(bytes.TrimLeft(rest, " \t"))
}

// find returns the first place of a text in the source.
func (r *reader) find(s string) (line, column int) {
	i := bytes.Index(r.src, []byte(s))
	if i < 0 {
		return 1, 1
	}
	before := r.src[:i]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte{'\n'}), 1 + len([]rune(string(before[start:])))
}

func (r *reader) document(tree *yaml.Node) *Node {
	r.nodes = map[*yaml.Node]*Node{}
	if tree.Kind != yaml.DocumentNode || len(tree.Content) == 0 {
		return &Node{line: int32(max(tree.Line, 1)), column: int32(max(tree.Column, 1)), height: 1, size: 1}
	}
	n, err := r.node(tree.Content[0], 1)
	if err != nil {
		return nil
	}
	if n.size > int64(r.MaxValues) {
		r.report(int(n.line), int(n.column), Error, "too-large",
			fmt.Sprintf("the document holds more than %d values once its aliases are expanded", r.MaxValues))
		return nil
	}
	return n
}

// node reads a value. It returns an error, having reported why, only when the
// rest is not worth reading; a wrong scalar becomes null.
func (r *reader) node(y *yaml.Node, depth int) (*Node, error) {
	if depth > r.MaxDepth {
		r.report(y.Line, y.Column, Error, "too-deep", fmt.Sprintf("nested deeper than %d levels", r.MaxDepth))
		return nil, tooDeep
	}
	if y.Kind == yaml.AliasNode {
		return r.alias(y, depth)
	}
	if key, ok := r.Tags[y.Tag]; ok && y.Style&yaml.TaggedStyle != 0 {
		return r.tagged(key, y, depth)
	}
	if y.Anchor != "" {
		r.nodes[y] = nil
	}
	n := &Node{line: int32(y.Line), column: int32(y.Column), height: 1, size: 1}
	var err error
	switch y.Kind {
	case yaml.ScalarNode:
		if e := n.scalar(r.tagOf(y), y.Value); e != nil {
			r.report(y.Line, y.Column, Error, "bad-value", e.Error())
			n.kind = Null
		}
	case yaml.SequenceNode:
		err = r.sequence(n, y, depth)
	case yaml.MappingNode:
		err = r.mapping(n, y, depth)
	}
	if err != nil {
		return nil, err
	}
	if y.Anchor != "" {
		r.nodes[y] = n
	}
	return n, nil
}

// tagged reads a value with a tag that stands for a mapping of one key. Such a
// value cannot be repeated by an alias.
func (r *reader) tagged(key string, y *yaml.Node, depth int) (*Node, error) {
	bare := *y
	bare.Style &^= yaml.TaggedStyle
	bare.Tag, bare.Anchor = "", ""
	value, err := r.node(&bare, depth+1)
	if err != nil {
		return nil, err
	}
	n := &Node{kind: Mapping, line: int32(y.Line), column: int32(y.Column), height: 1, size: 1}
	name := &Node{kind: String, text: key, line: n.line, column: n.column, height: 1, size: 1}
	n.entries = []Entry{{name, value}}
	n.add(name)
	n.add(value)
	return n, nil
}

func (r *reader) alias(y *yaml.Node, depth int) (*Node, error) {
	n, seen := r.nodes[y.Alias]
	if n == nil && seen {
		r.report(y.Line, y.Column, Error, "recursive-alias", fmt.Sprintf("the alias *%s stands inside what it repeats", y.Value))
		return nil, tooDeep
	}
	if n == nil { // the anchored value was thrown away: it could not be read
		r.report(y.Line, y.Column, Error, "bad-value", fmt.Sprintf("the alias *%s repeats nothing", y.Value))
		return nil, tooDeep
	}
	if depth+int(n.height)-1 > r.MaxDepth {
		r.report(y.Line, y.Column, Error, "too-deep", fmt.Sprintf("nested deeper than %d levels by aliases", r.MaxDepth))
		return nil, tooDeep
	}
	return n, nil
}

// tagOf is the tag of a scalar: as written, or by its form where it is plain.
func (r *reader) tagOf(y *yaml.Node) string {
	if y.Style&yaml.TaggedStyle != 0 {
		return y.Tag
	}
	if y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return tagStr
	}
	return resolve(y.Value)
}

// add counts a part into the whole.
func (n *Node) add(part *Node) {
	n.height = max(n.height, part.height+1)
	if n.size += part.size; n.size < 0 {
		n.size = math.MaxInt64
	}
}

func (r *reader) sequence(n *Node, y *yaml.Node, depth int) error {
	n.kind = Sequence
	if y.Style&yaml.TaggedStyle != 0 {
		switch y.Tag {
		case tagSeq:
		case tagOmap, tagPairs:
			return r.pairs(n, y, depth)
		default:
			r.report(y.Line, y.Column, Error, "bad-value", fmt.Sprintf("unknown tag %s for a list", y.Tag))
		}
	}
	n.items = make([]*Node, 0, len(y.Content))
	for _, c := range y.Content {
		it, err := r.node(c, depth+1)
		if err != nil {
			return err
		}
		n.add(it)
		n.items = append(n.items, it)
	}
	return nil
}

// pairs reads !!omap and !!pairs: a list of mappings of one entry each becomes a
// list of [key, value].
func (r *reader) pairs(n *Node, y *yaml.Node, depth int) error {
	for _, c := range y.Content {
		if c.Kind != yaml.MappingNode || len(c.Content) != 2 {
			r.report(c.Line, c.Column, Error, "bad-value", "expected a mapping of one entry")
			continue
		}
		pair := &Node{kind: Sequence, line: int32(c.Line), column: int32(c.Column), height: 1, size: 1}
		for _, part := range c.Content {
			p, err := r.node(part, depth+2)
			if err != nil {
				return err
			}
			pair.add(p)
			pair.items = append(pair.items, p)
		}
		n.add(pair)
		n.items = append(n.items, pair)
	}
	return nil
}
