package normalize

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/charset"
)

// xmlJSON reads one XML document token by token. Entities beyond XML's own five
// are refused, so a document cannot grow while it is read. decoded says that
// the text is UTF-8 already, whatever its declaration says.
func xmlJSON(text []byte, decoded bool, depth int) ([]byte, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if decoded {
			return in, nil
		}
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		if b, err = charset.Decode(b, label); err != nil {
			return nil, err
		}
		return bytes.NewReader(b), nil
	}
	root := &builder{fields: map[string]*builder{}}
	stack := []*element{{at: root}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", err, hayate.ErrInvalid)
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if len(stack) > depth {
				return nil, fmt.Errorf("element %s: nested too deeply: %w", t.Name.Local, hayate.ErrInvalid)
			}
			if len(stack) == 1 && len(root.names) > 0 {
				return nil, fmt.Errorf("element %s: a document has one root element: %w", t.Name.Local, hayate.ErrInvalid)
			}
			stack = append(stack, top.open(t))
		case xml.EndElement:
			top.close()
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 1 {
				top.text.Write(t)
			} else if len(strings.TrimSpace(string(t))) > 0 {
				return nil, fmt.Errorf("text outside the root element: %w", hayate.ErrInvalid)
			}
		}
	}
	if len(root.names) == 0 {
		return nil, fmt.Errorf("there is no element: %w", hayate.ErrInvalid)
	}
	return root.appendJSON(nil), nil
}

// element is one that is open.
type element struct {
	at   *builder
	text strings.Builder
}

// open makes the child element's place, an array's next where the name came
// before.
func (e *element) open(t xml.StartElement) *element {
	place := e.at.field(t.Name.Local)
	switch {
	case place.array:
		place = place.element()
	case !place.fresh():
		first := *place
		*place = builder{}
		*place.element() = first
		place = place.element()
	}
	place.seen = true
	child := &element{at: place}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		place.field("@" + a.Name.Local).put(text8(a.Value))
	}
	return child
}

func (e *element) close() {
	text := strings.TrimSpace(e.text.String())
	if text == "" {
		return
	}
	e.at.put(text8(text))
}
