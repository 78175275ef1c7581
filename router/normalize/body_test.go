package normalize_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize"
)

// one is the only event of a request.
func one(t *testing.T, r *normalize.Request) hayate.Event {
	t.Helper()
	events, err := normalize.Events(r)
	if err != nil {
		t.Fatalf("%q: %v", r.Body, err)
	}
	if len(events) != 1 {
		t.Fatalf("%q: %d events, want 1", r.Body, len(events))
	}
	if err := events[0].Validate(); err != nil {
		t.Fatalf("%q: %v", r.Body, err)
	}
	return events[0]
}

func TestBodiesBecomeJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, contentType, body, want string }{
		{"JSON stays as it is, byte for byte", "application/json", " {\"a\": 1.0,\n\"b\":[ ]} ", "{\"a\": 1.0,\n\"b\":[ ]}"},
		{"a suffix names JSON", "application/vnd.x+json; charset=utf-8", `{"a":1}`, `{"a":1}`},
		{"a byte order mark is dropped", "application/json", "\xef\xbb\xbf{}", "{}"},
		{"JSON by its first byte", "", ` {"a":1}`, `{"a":1}`},
		{"JSON that is called text, as Amazon SNS does", "text/plain; charset=UTF-8", `{"a":1}`, `{"a":1}`},
		{"JSON that is called a form, as command line tools do", "application/x-www-form-urlencoded", `{"a":1}`, `{"a":1}`},
		{"a form", "application/x-www-form-urlencoded", "b=x+y&a=%E9%9A%9C", `{"b":"x y","a":"障"}`},
		{"a name without a value", "application/x-www-form-urlencoded", "a&b=", `{"a":"","b":""}`},
		{"a repeated name is a list", "application/x-www-form-urlencoded", "a=1&b=2&a=3", `{"a":["1","3"],"b":"2"}`},
		{"empty brackets make a list", "application/x-www-form-urlencoded", "a[]=1", `{"a":["1"]}`},
		{"indexes make a list", "application/x-www-form-urlencoded", "a[0]=x&a[1]=y", `{"a":["x","y"]}`},
		{"brackets nest", "application/x-www-form-urlencoded", "h%5Bname%5D=web&h[tags][]=a&h[tags][]=b", `{"h":{"name":"web","tags":["a","b"]}}`},
		{"a list of objects", "application/x-www-form-urlencoded", "a[][x]=1&a[][x]=2", `{"a":[{"x":"1"},{"x":"2"}]}`},
		{"a text and a member of one name", "application/x-www-form-urlencoded", "a=1&a[b]=2", `{"a":{"#text":"1","b":"2"}}`},
		{"a text and an element of one name", "application/x-www-form-urlencoded", "a=1&a[]=2", `{"a":["1","2"]}`},
		{"brackets that do not close", "application/x-www-form-urlencoded", "a[b=1", `{"a[b":"1"}`},
		{"the field payload alone is JSON", "application/x-www-form-urlencoded", "payload=%7B%22a%22%3A1%7D", `{"a":1}`},
		{"the field payload beside others is not", "application/x-www-form-urlencoded", "payload=%7B%7D&x=1", `{"payload":"{}","x":"1"}`},
		{"a multipart form", "multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"h[name]\"\r\n\r\nweb\r\n--B\r\nContent-Disposition: form-data; name=\"log\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nfull\r\n--B--\r\n",
			`{"h":{"name":"web"},"log":{"filename":"a.txt","content_type":"text/plain","text":"full"}}`},
		{"text", "text/plain", "disk full\n\"sda\"\t障害", `{"text":"disk full\n\"sda\"\u0009障害"}`},
		{"text by its looks", "", "disk full", `{"text":"disk full"}`},
		{"text that is not UTF-8 keeps its bytes", "text/plain", "a\xff", `{"text":"a\ufffd","base64":"Yf8="}`},
		{"XML", "application/xml", `<?xml version="1.0"?><a x="1"><b>t</b><b/><c y="2">u</c><!-- no --><d><![CDATA[<&]]></d></a>`,
			`{"a":{"@x":"1","b":["t",null],"c":{"@y":"2","#text":"u"},"d":"<&"}}`},
		{"XML of one text", "text/xml", "<a> t &amp; u </a>", `{"a":"t & u"}`},
		{"XML drops namespaces", "application/soap+xml", `<s:a xmlns:s="urn:s" s:b="1"/>`, `{"a":{"@b":"1"}}`},
		{"XML by its looks", "", "<a>1</a>", `{"a":"1"}`},
		{"what only begins like XML is text", "", "<3 hayate", `{"text":"<3 hayate"}`},
		{"three equal elements", "application/xml", "<a><b>1</b><b>2</b><b>3</b></a>", `{"a":{"b":["1","2","3"]}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := request("id", "some-tool", []byte(tt.body))
			r.ContentType = tt.contentType
			e := one(t, r)
			want := strings.ReplaceAll(tt.want, `\ufffd`, "\ufffd")
			if string(e.Data) != want {
				t.Errorf("data is %s, want %s", e.Data, want)
			}
			if e.DataContentType != "application/json" || e.Type != "run.hayate.webhook.some-tool" || e.Source != "/webhooks/some-tool" {
				t.Errorf("event is %s %s %s", e.DataContentType, e.Type, e.Source)
			}
		})
	}
}

func TestCharsets(t *testing.T) {
	t.Parallel()
	const (
		sjis = "\x8f\xe1\x8a\x51\x87\x40" // 障害①
		euc  = "\xbe\xe3\xb3\xb2"         // 障害
	)
	tests := []struct{ name, contentType, body, want string }{
		{"Shift_JIS text", "text/plain; charset=Shift_JIS", sjis, `{"text":"障害①"}`},
		{"Windows' name for it, in JSON", "application/json; charset=windows-31j", `{"a":"` + sjis + `"}`, `{"a":"障害①"}`},
		{"a JIS body", "text/plain; charset=iso-2022-jp", "\x1b$B>c32\x1b(B", `{"text":"障害"}`},
		{"the bytes behind percent signs", "application/x-www-form-urlencoded; charset=euc-jp", "a=" + url.QueryEscape(euc), `{"a":"障害"}`},
		{"an XML declaration", "application/xml", `<?xml version="1.0" encoding="Shift_JIS"?><a>` + sjis + `</a>`, `{"a":"障害①"}`},
		{"the header outranks the declaration", "application/xml; charset=utf-8", `<?xml version="1.0" encoding="Shift_JIS"?><a>障害</a>`, `{"a":"障害"}`},
	}
	for _, tt := range tests {
		r := request("id", "", []byte(tt.body))
		r.ContentType = tt.contentType
		if e := one(t, r); string(e.Data) != tt.want {
			t.Errorf("%s: data is %s, want %s", tt.name, e.Data, tt.want)
		}
	}
}

func TestQueryIsTheBodyOfARequestWithoutOne(t *testing.T) {
	t.Parallel()
	r := request("id", "door", nil)
	r.ContentType = ""
	r.Query = url.Values{"host": {"web"}, "tag[]": {"a", "b"}, "access_token": {"secret"}}
	if e := one(t, r); string(e.Data) != `{"host":"web","tag":["a","b"]}` {
		t.Errorf("data is %s", e.Data)
	}
	r.Body = []byte(`{"a":1}`)
	if e := one(t, r); string(e.Data) != `{"a":1}` {
		t.Errorf("with a body, data is %s", e.Data)
	}
}

func TestWrongBodiesAreNamed(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 101) + strings.Repeat("]", 101)
	tests := []struct{ contentType, body, want string }{
		{"application/json", `{"a":1,}`, "body: not JSON at line 1, column 8: a member's name in quotes is missing: invalid"},
		{"application/json", "{\n \"a\" 1}", "body: not JSON at line 2, column 6: a colon is missing after a member's name: invalid"},
		{"application/json", `{"a":01}`, "a number begins with 0"},
		{"application/json", `[1 2]`, "a comma or a closing bracket is missing"},
		{"application/json", `"\x"`, "an unknown escape in a string"},
		{"application/json", `"\u12g4"`, "four hexadecimal digits"},
		{"application/json", "\"a\nb\"", "a control character in a string"},
		{"application/json", `{"a":"`, "the text ends inside a string"},
		{"application/json", `[`, "the text ends where a value should begin"},
		{"application/json", `{} {}`, "text after the end of the value"},
		{"application/json", `nul`, "expected null"},
		{"application/json", `1.`, "no digit after a decimal point"},
		{"application/json", `1e+`, "no digit in an exponent"},
		{"application/json", `-`, "no value begins with '-'"},
		{"application/json", "{\"a\":\"\xff\"}", "body: byte 6 is not UTF-8"},
		{"application/json", deep, "nested too deeply"},
		{"", "{not json", "body: not JSON at line 1"},
		{"application/xml", "<a><b></a>", "body: not XML"},
		{"application/xml", "<a>&lol;</a>", "body: not XML"},
		{"application/xml", "<a/><b/>", "one root element"},
		{"application/xml", "text", "text outside the root element"},
		{"application/xml", strings.Repeat("<a>", 101) + strings.Repeat("</a>", 101), "nested too deeply"},
		{"application/x-www-form-urlencoded", "a" + strings.Repeat("[b]", 100) + "=1", "nested too deeply"},
		{"application/x-www-form-urlencoded", "a=%zz", "body: not a URL-encoded form"},
		{"multipart/form-data", "x", "content-type names no boundary"},
		{"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1", "body: not a multipart form"},
		{"image/png", "\x89PNG", `content-type: "image/png" cannot be read`},
		{"text/plain; charset=klingon", "a", `content-type: unknown charset "klingon"`},
	}
	for _, tt := range tests {
		r := request("id", "", []byte(tt.body))
		r.ContentType = tt.contentType
		_, err := normalize.Events(r)
		if !errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %.40q: got %v, want ErrInvalid with %q", tt.contentType, tt.body, err, tt.want)
		}
	}
}

func TestDepthIsABoundOfTheRequest(t *testing.T) {
	t.Parallel()
	r := request("id", "", []byte(`[[[1]]]`))
	r.MaxDepth = 3
	one(t, r)
	r.MaxDepth = 2
	if _, err := normalize.Events(r); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("three levels where two are allowed: got %v, want ErrInvalid", err)
	}
}

func TestGenericEvents(t *testing.T) {
	t.Parallel()
	headers := map[string]string{}
	r := request("fresh", "My Tool/eu 1", []byte(`{"id":5,"state":"down"}`))
	r.Header = func(name string) string { return headers[name] }
	e := one(t, r)
	if e.Type != "run.hayate.webhook.my-tool-eu-1" || e.Source != "/webhooks/My%20Tool/eu%201" || e.ID != "fresh1" {
		t.Errorf("event is %s from %s with id %s", e.Type, e.Source, e.ID)
	}
	if e := one(t, r); e.ID != "fresh2" {
		t.Errorf("an equal body that came again has the id %s, want a fresh one: it may be news", e.ID)
	}
	headers["Idempotency-Key"] = "k-1"
	if e := one(t, r); e.ID != "k-1" {
		t.Errorf("id is %s, want that of the header", e.ID)
	}
	r.Hint = ""
	if e := one(t, r); e.Type != "run.hayate.webhook" || e.Source != "/webhooks" {
		t.Errorf("without a hint the event is %s from %s", e.Type, e.Source)
	}
	for _, body := range []string{"null", "[]", "1", `"x"`, "[1,2]"} {
		r.Body = []byte(body)
		if e := one(t, r); string(e.Data) != body {
			t.Errorf("data of %s is %s", body, e.Data)
		}
	}
}
