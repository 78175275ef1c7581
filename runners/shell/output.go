package shell

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
)

// collector takes one stream of a process: it masks secrets, makes the bytes
// valid UTF-8, hands complete lines on, and keeps a bounded part for the result.
type collector struct {
	stream hayate.Stream
	out    func(hayate.Stream, string)
	mu     *sync.Mutex // held while out runs
	masker *mask.Stream

	maxLine, maxStream, maxKept int

	masked  []byte // scratch
	partial []byte // the beginning of a rune
	text    []byte // scratch

	line     []byte // the line that is not complete
	streamed int
	silent   bool // maxStream is reached

	head, tail []byte // the first and the last half of what is kept
	total      int64
}

// copyFrom reads r to its end. It keeps reading whatever happens, so that the
// process never waits for us.
func (c *collector) copyFrom(r io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			c.masked = c.masker.Write(c.masked[:0], buf[:n])
			c.take(c.masked, false)
		}
		if err != nil {
			break // the end, or the deadline that the attempt set
		}
	}
	c.masked = c.masker.Close(c.masked[:0])
	c.take(c.masked, true)
	if len(c.line) > 0 {
		c.emit(c.line)
	}
}

// take handles masked bytes.
func (c *collector) take(b []byte, final bool) {
	if len(c.partial) > 0 {
		b = append(c.partial, b...)
		c.partial = nil
	}
	if !final {
		if n := incomplete(b); n > 0 {
			c.partial = append([]byte(nil), b[len(b)-n:]...)
			b = b[:len(b)-n]
		}
	}
	if !utf8.Valid(b) {
		c.text = appendValid(c.text[:0], b)
		b = c.text
	}
	c.keep(b)
	c.split(b)
}

// incomplete is the length of a beginning of a rune at the end of b.
func incomplete(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if c >= 0xc0 && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// appendValid replaces each byte that is not UTF-8 by U+FFFD.
func appendValid(dst, b []byte) []byte {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		dst = utf8.AppendRune(dst, r)
		b = b[n:]
	}
	return dst
}

func (c *collector) keep(b []byte) {
	c.total += int64(len(b))
	if room := c.maxKept/2 - len(c.head); room > 0 {
		n := min(room, len(b))
		c.head = append(c.head, b[:n]...)
		b = b[n:]
	}
	limit := c.maxKept - c.maxKept/2
	if len(b) >= limit {
		c.tail = append(c.tail[:0], b[len(b)-limit:]...)
		return
	}
	if over := len(c.tail) + len(b) - 2*limit; over > 0 {
		c.tail = append(c.tail[:0], c.tail[len(c.tail)-(limit-len(b)):]...)
	}
	c.tail = append(c.tail, b...)
}

// kept is what the result shows.
func (c *collector) kept() string {
	if c.total <= int64(c.maxKept) {
		return string(c.head) + string(c.tail)
	}
	head := c.head[:len(c.head)-incomplete(c.head)]
	tail := c.tail
	if limit := c.maxKept - c.maxKept/2; len(tail) > limit {
		tail = tail[len(tail)-limit:]
	}
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	left := c.total - int64(len(head)) - int64(len(tail))
	return fmt.Sprintf("%s\n[hayate: %d bytes are left out here, at most %d bytes of %s are kept]\n%s",
		head, left, c.maxKept, c.stream, tail)
}

// split hands complete lines on and cuts long ones.
func (c *collector) split(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		piece := b
		if i >= 0 {
			piece = b[:i]
		}
		for len(c.line)+len(piece) > c.maxLine {
			n := c.maxLine - len(c.line)
			c.line = append(c.line, piece[:n]...)
			piece = piece[n:]
			cut := incomplete(c.line)
			rest := append([]byte(nil), c.line[len(c.line)-cut:]...)
			c.emit(c.line[:len(c.line)-cut])
			c.line = append(c.line[:0], rest...)
		}
		if i < 0 {
			c.line = append(c.line, piece...)
			return
		}
		b = b[i+1:]
		if len(c.line) > 0 {
			c.line = append(c.line, piece...)
			piece = c.line
		}
		c.emit(bytes.TrimSuffix(piece, []byte("\r")))
		c.line = c.line[:0]
	}
}

func (c *collector) emit(line []byte) {
	if c.silent {
		return
	}
	text := string(line)
	if c.streamed += len(line) + 1; c.streamed > c.maxStream {
		c.silent = true
		text = fmt.Sprintf("[hayate: %s is longer than %d bytes; the rest is not streamed]", c.stream, c.maxStream)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out(c.stream, text)
}
