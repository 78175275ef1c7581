package jinja

import (
	"html"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// titleWords is Jinja's title: words begin behind white space, hyphens and
// opening brackets.
func titleWords(t string) string {
	var b strings.Builder
	begin := true
	for _, r := range t {
		if begin {
			b.WriteString(value.Upper(string(r)))
		} else {
			b.WriteString(value.Lower(string(r)))
		}
		begin = r == '-' || isSpace(r) || strings.ContainsRune("({[<", r)
	}
	return b.String()
}

func filterIndent(s *state, a []any) (any, error) {
	t, ok := asText(a[0])
	if !ok {
		return nil, s.notIndentable(a[0])
	}
	pad, ok := asText(a[1])
	if !ok {
		n, err := integer(a[1], 4)
		if err != nil {
			return nil, err
		}
		pad = strings.Repeat(" ", min(max(n, 0), 1<<20))
	}
	lines := splitLines(t+"\n", false)
	if err := s.grow(len(t) + len(lines)*(len(pad)+1)); err != nil {
		return nil, err
	}
	for i, l := range lines {
		if i > 0 && (l != "" || flag(a[3])) || i == 0 && flag(a[2]) {
			lines[i] = pad + l
		}
	}
	out := strings.Join(lines, "\n")
	if _, safe := a[0].(Markup); safe {
		return Markup(out), nil
	}
	return out, nil
}

// notIndentable is the error of adding a newline to what is no text, or of
// splitting what came of it.
func (s *state) notIndentable(v any) error {
	switch v.(type) {
	case *Undefined, value.List, *value.Array:
		return s.noMethod(v, "splitlines")
	case value.Tuple:
		return value.TypeErrorf(`can only concatenate tuple (not "str") to tuple`)
	}
	return value.Unsupported("+=", v, "")
}

func filterTruncate(s *state, a []any) (any, error) {
	t, ok := asText(a[0])
	if !ok {
		n, err := s.length(a[0])
		if err != nil {
			return nil, err
		}
		if n.(int64) <= 255 {
			return a[0], nil
		}
		return nil, value.TypeErrorf("can only truncate text, not %s", value.Type(a[0]))
	}
	n, err := integer(a[1], 255)
	if err != nil {
		return nil, err
	}
	end := "..."
	if a[3] != (Absent{}) {
		if end, err = textArg(a[3], "end"); err != nil {
			return nil, err
		}
	}
	leeway := 5
	if given(a[4]) {
		if leeway, err = integer(a[4], 5); err != nil {
			return nil, err
		}
	}
	size := utf8.RuneCountInString(end)
	switch {
	case n < size:
		return nil, value.Raise("AssertionError", "expected length >= %d, got %d", size, n)
	case leeway < 0:
		return nil, value.Raise("AssertionError", "expected leeway >= 0, got %d", leeway)
	case utf8.RuneCountInString(t) <= n+leeway:
		return a[0], nil
	}
	t = string([]rune(t)[:n-size])
	if !flag(a[2]) {
		if i := strings.LastIndexByte(t, ' '); i >= 0 {
			t = t[:i]
		}
	}
	return t + end, s.grow(len(t) + len(end))
}

func filterWordcount(s *state, a []any) (any, error) {
	t, err := s.str(a[0])
	if err != nil {
		return nil, err
	}
	n, inside := int64(0), false
	for _, r := range t {
		word := r == '_' || isAlnum(r)
		if word && !inside {
			n++
		}
		inside = word
	}
	return n, nil
}

func filterWordwrap(s *state, a []any) (any, error) {
	t, ok := asText(a[0])
	if !ok {
		return nil, s.noMethod(a[0], "splitlines")
	}
	width, err := integer(a[1], 79)
	if err != nil {
		return nil, err
	}
	sep := "\n"
	if given(a[3]) {
		if sep, err = textArg(a[3], "wrapstring"); err != nil {
			return nil, err
		}
	}
	breakLong := a[2] == (Absent{}) || value.Truth(a[2])
	hyphens := a[4] == (Absent{}) || value.Truth(a[4])
	var out []string
	for _, line := range splitLines(t, false) {
		if width <= 0 && strings.TrimFunc(line, isSpace) != "" {
			return nil, value.ValueErrorf("invalid width %d (must be > 0)", width)
		}
		out = append(out, strings.Join(wrapLine(line, width, breakLong, hyphens), sep))
	}
	if err := s.grow(2*len(t) + len(out)*len(sep)); err != nil {
		return nil, err
	}
	return strings.Join(out, sep), nil
}

// wrapLine breaks a line into lines of at most so many characters, as Python's
// textwrap does.
func wrapLine(line string, width int, breakLong, hyphens bool) []string {
	chunks := wrapChunks(line, hyphens)
	var out []string
	for len(chunks) > 0 {
		if len(out) > 0 && strings.TrimFunc(chunks[0], isSpace) == "" {
			chunks = chunks[1:]
			if len(chunks) == 0 {
				break
			}
		}
		var cur []string
		size := 0
		for len(chunks) > 0 {
			n := utf8.RuneCountInString(chunks[0])
			if size+n > width {
				break
			}
			cur = append(cur, chunks[0])
			size += n
			chunks = chunks[1:]
		}
		if len(chunks) > 0 && utf8.RuneCountInString(chunks[0]) > width {
			switch room := max(width-size, 0); {
			case breakLong:
				// At least one character goes on, so that this ends.
				r := []rune(chunks[0])
				cut := max(room, min(1, width))
				if width < 1 || room == 0 {
					cut = 0
				}
				if hyphens && cut > 1 {
					if h := strings.LastIndexByte(string(r[:cut]), '-'); h > 0 && strings.Trim(string(r[:cut])[:h], "-") != "" {
						cut = utf8.RuneCountInString(string(r[:cut])[:h]) + 1
					}
				}
				// Where there is no room, textwrap adds an empty piece, and takes
				// that for the white space at the end that it would drop.
				cur = append(cur, string(r[:cut]))
				chunks[0] = string(r[cut:])
			case len(cur) == 0:
				cur = append(cur, chunks[0])
				chunks = chunks[1:]
			}
		}
		if n := len(cur); n > 0 && strings.TrimFunc(cur[n-1], isSpace) == "" {
			cur = cur[:n-1]
		}
		if len(cur) > 0 {
			out = append(out, strings.Join(cur, ""))
		}
	}
	return out
}

// wrapChunks cuts a line where it may be broken: around white space and, where
// hyphens count, behind those between letters.
func wrapChunks(line string, hyphens bool) []string {
	var out []string
	runes := []rune(line)
	isBlank := func(r rune) bool { return strings.ContainsRune("\t\n\v\f\r ", r) }
	letter := func(i int) bool { return i >= 0 && i < len(runes) && unicode.IsLetter(runes[i]) }
	start := 0
	for i := 1; i <= len(runes); i++ {
		cut := i == len(runes) || isBlank(runes[i]) != isBlank(runes[i-1])
		if !cut && hyphens && runes[i-1] == '-' {
			cut = letter(i-2) && i-3 >= start && (letter(i-3) || unicode.IsDigit(runes[i-3])) && letter(i) && (letter(i+1) || i+1 < len(runes) && unicode.IsDigit(runes[i+1]))
		}
		if cut {
			out = append(out, string(runes[start:i]))
			start = i
		}
	}
	return out
}

func filterStriptags(s *state, a []any) (any, error) {
	t, err := s.str(a[0])
	if err != nil {
		return nil, err
	}
	for _, mark := range [][2]string{{"<!--", "-->"}, {"<", ">"}} {
		var b strings.Builder
		for {
			i := strings.Index(t, mark[0])
			if i < 0 {
				break
			}
			k := strings.Index(t[i:], mark[1])
			if k < 0 {
				break
			}
			b.WriteString(t[:i])
			t = t[i+k+len(mark[1]):]
		}
		t = b.String() + t
	}
	t = strings.Join(strings.FieldsFunc(t, isSpace), " ")
	return html.UnescapeString(t), s.grow(len(t))
}

// quoteURL writes a text for a URL; in a query, a space is a plus sign and a
// slash is escaped, too.
func (s *state) quoteURL(v any, query bool) (string, error) {
	t, err := s.str(v)
	if err == nil {
		err = s.grow(3 * len(t))
	}
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for i := range len(t) {
		c := t[i]
		switch {
		case isDigit(c), c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("_.-~", c) >= 0, c == '/' && !query:
			b.WriteByte(c)
		case c == ' ' && query:
			b.WriteByte('+')
		default:
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		}
	}
	return b.String(), nil
}

func filterURLEncode(s *state, a []any) (any, error) {
	if _, ok := asText(a[0]); ok {
		return s.quoteURL(a[0], false)
	}
	var pairs []any
	if m, ok := a[0].(*value.Map); ok {
		pairs = (&View{m, "items"}).List()
	} else {
		items, err := s.iterate(a[0])
		if err != nil {
			if recoverable(err, "TypeError") {
				return s.quoteURL(a[0], false)
			}
			return nil, err
		}
		pairs = items
	}
	var out []string
	for _, p := range pairs {
		kv, err := s.unpack(p, 2)
		if err != nil {
			return nil, err
		}
		k, err := s.quoteURL(kv[0], true)
		if err != nil {
			return nil, err
		}
		v, err := s.quoteURL(kv[1], true)
		if err != nil {
			return nil, err
		}
		out = append(out, k+"="+v)
	}
	return strings.Join(out, "&"), nil
}

func filterXMLAttr(s *state, a []any) (any, error) {
	m, ok := a[0].(*value.Map)
	if !ok {
		return nil, s.noMethod(a[0], "items")
	}
	var out []string
	for k, v := range m.All() {
		if _, undefined := v.(*Undefined); undefined || v == nil {
			continue
		}
		name, err := textArg(k, "attribute name")
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(name, " \t\n\r\f\v/>=") {
			return nil, value.ValueErrorf("Invalid character in attribute name: %s", value.Repr(name))
		}
		e, err := filterEscape(s, []any{v})
		if err != nil {
			return nil, err
		}
		out = append(out, escape(name)+`="`+string(e.(Markup))+`"`)
	}
	t := strings.Join(out, " ")
	if t != "" && (a[1] == (Absent{}) || value.Truth(a[1])) {
		t = " " + t
	}
	return t, s.grow(len(t))
}

const (
	webPattern = `(?i)((https?://|www\.)([\w%-]+\.)*([a-z]{2,63}|xn--[\w%]{2,59})` +
		`|([\w%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)` +
		`|https?://(\d{1,3}(\.\d{1,3}){3}|\[([\da-f]{0,4}:){2}([\da-f]{0,4}:?){1,6}\]))` +
		`(?::\d{1,5})?(?:[/?#]\S*)?$`
	mailPattern = `^\S+@\w[\w.-]*\.\w+$`
)

func filterURLize(s *state, a []any) (any, error) {
	t, err := s.str(a[0])
	if err != nil {
		return nil, err
	}
	web, err := pyre.Compile(webPattern, 0)
	if err != nil {
		return nil, err
	}
	mail, err := pyre.Compile(mailPattern, 0)
	if err != nil {
		return nil, err
	}
	l := linkifier{web: web, mail: mail}
	if given(a[1]) {
		if l.limit, err = integer(a[1], 0); err != nil {
			return nil, err
		}
		l.limited = true
	}
	rel := map[string]bool{"noopener": true}
	if given(a[4]) {
		r, err := s.str(a[4])
		if err != nil {
			return nil, err
		}
		for _, p := range strings.Fields(r) {
			rel[p] = true
		}
	}
	if flag(a[2]) {
		rel["nofollow"] = true
	}
	l.attrs = ` rel="` + escape(strings.Join(slices.Sorted(maps.Keys(rel)), " ")) + `"`
	if given(a[3]) {
		target, err := s.str(a[3])
		if err != nil {
			return nil, err
		}
		l.attrs += ` target="` + escape(target) + `"`
	}
	text := escape(t)
	if m, ok := a[0].(Markup); ok {
		text = string(m)
	}
	var out []byte
	for text != "" {
		i := strings.IndexFunc(text, isSpace)
		if i < 0 {
			i = len(text)
		}
		w, err := l.word(text[:i])
		if err == nil {
			err = s.grow(len(w))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, w...)
		text = text[i:]
		j := strings.IndexFunc(text, func(r rune) bool { return !isSpace(r) })
		if j < 0 {
			j = len(text)
		}
		out = append(out, text[:j]...)
		text = text[j:]
	}
	return string(out), nil
}

// linkifier makes links of the words that look like addresses.
type linkifier struct {
	web, mail *pyre.Regexp
	limit     int
	limited   bool
	attrs     string
}

func (l *linkifier) word(w string) (string, error) {
	head, middle, tail := "", w, ""
	for cut := true; cut; {
		cut = false
		for _, p := range []string{"(", "<", "&lt;"} {
			if strings.HasPrefix(middle, p) {
				head, middle, cut = head+p, middle[len(p):], true
			}
		}
	}
	for cut := true; cut; {
		cut = false
		for _, p := range []string{")", ">", ".", ",", "\n", "&gt;"} {
			if strings.HasSuffix(middle, p) {
				middle, tail, cut = middle[:len(middle)-len(p)], p+tail, true
			}
		}
	}
	// A bracket that was opened in the middle takes its closing one back.
	for _, p := range [][2]string{{"(", ")"}, {"<", ">"}, {"&lt;", "&gt;"}} {
		opened := strings.Count(middle, p[0])
		if opened <= strings.Count(middle, p[1]) {
			continue
		}
		for range min(opened, strings.Count(tail, p[1])) {
			i := strings.Index(tail, p[1]) + len(p[1])
			middle, tail = middle+tail[:i], tail[i:]
		}
	}
	link, err := l.link(middle)
	return head + link + tail, err
}

func (l *linkifier) link(t string) (string, error) {
	ok, err := l.web.Starts(t)
	if err != nil {
		return "", err
	}
	if ok {
		shown := t
		if r := []rune(t); l.limited && len(r) > l.limit {
			shown = string(r[:max(l.limit, 0)]) + "..."
		}
		href := t
		if !strings.HasPrefix(t, "https://") && !strings.HasPrefix(t, "http://") {
			href = "https://" + t
		}
		return `<a href="` + href + `"` + l.attrs + `>` + shown + `</a>`, nil
	}
	address, isMail := strings.CutPrefix(t, "mailto:")
	if !isMail && (!strings.Contains(t, "@") || strings.HasPrefix(t, "www.") || strings.HasPrefix(t, "@") || strings.Contains(t, ":")) {
		return t, nil
	}
	if ok, err = l.mail.Found(address); err != nil || !ok {
		return t, err
	}
	return `<a href="mailto:` + address + `">` + address + `</a>`, nil
}

func filterToJSON(s *state, a []any) (any, error) {
	o := value.DumpOptions{Indent: -1, SortKeys: true}
	if given(a[1]) {
		n, err := integer(a[1], 0)
		if err != nil {
			return nil, err
		}
		o.Indent = min(max(n, 0), 1000)
	}
	t, err := value.Dumps(plain(a[0], s.budget), o, s.budget)
	if err != nil {
		return nil, err
	}
	return Markup(strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`).Replace(t)), nil
}

func filterPprint(s *state, a []any) (any, error) {
	p := prettyPrinter{width: 80, budget: s.budget}
	p.print(plain(a[0], s.budget), 0, 0, 0)
	return string(p.b), p.err
}

// lipsum makes text to fill a page with.
func lipsum(s *state, c *Call) (any, error) {
	a, err := c.Bind("generate_lorem_ipsum", 0, "n", "html", "min", "max")
	if err != nil {
		return nil, err
	}
	var size [3]int
	for i, def := range []int{5, 20, 100} {
		if size[i], err = integer(a[[]int{0, 2, 3}[i]], def); err != nil {
			return nil, err
		}
	}
	n, words := size[0], max(size[1], 1)
	if err := s.grow(max(n, 0) * words * 12); err != nil {
		return nil, err
	}
	stock := strings.Fields("lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua")
	var paragraphs []string
	for p := range n {
		var text []string
		for w := range words {
			i := (p*7 + w) % len(stock)
			if s.env.o.Random != nil {
				i = s.env.o.Random(len(stock))
			}
			text = append(text, stock[i])
		}
		t := value.Capitalize(strings.Join(text, " ")) + "."
		if a[1] == (Absent{}) || value.Truth(a[1]) {
			t = "<p>" + t + "</p>"
		}
		paragraphs = append(paragraphs, t)
	}
	if a[1] == (Absent{}) || value.Truth(a[1]) {
		return Markup(strings.Join(paragraphs, "\n")), nil
	}
	return strings.Join(paragraphs, "\n\n"), nil
}
