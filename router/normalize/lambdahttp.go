package normalize

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/hayate-run/hayate"
)

// HTTP requests as Lambda functions get them: from an API Gateway (both payload
// versions, WebSockets too), a load balancer, a function URL or VPC Lattice. The
// request inside is read as if it had come by HTTP; its path may name the
// source (…/v1/webhooks/<source>).

func isLambdaHTTP(in *input) bool { return lambdaHTTPType(in.doc) != "" }

// lambdaHTTPType is the type of event of a request that nothing recognises, ""
// where the document is no request.
func lambdaHTTPType(doc value) string {
	c := doc.get("requestContext")
	switch {
	case !c.isObject():
	case c.get("elb").isObject():
		return "aws.elb.request"
	case c.has("serviceNetworkArn"):
		return "aws.vpc-lattice.request"
	case c.get("http").isObject() && strings.Contains(c.str("domainName"), ".lambda-url."):
		return "aws.lambda.url-request"
	case c.has("connectionId") && c.has("eventType"):
		return "aws.apigateway.websocket-" + slug(c.str("eventType"))
	case c.get("http").isObject(), doc.has("httpMethod") && doc.has("path"):
		return "aws.apigateway.request"
	}
	if doc.has("raw_path") && doc.has("method") && doc.get("headers").isObject() {
		return "aws.vpc-lattice.request"
	}
	return ""
}

func lambdaHTTPEvents(in *input) error {
	if in.level >= maxUnwrap {
		return genericEvents(in)
	}
	inner, err := in.inner(in.doc)
	if err != nil {
		return err
	}
	doc, err := readBody(inner)
	if err != nil {
		return err
	}
	child := newInput(inner, doc, in.table, in.out)
	child.level, child.via, child.fallback = in.level+1, in.via, firstOf(child.fallback, in.fallback)
	return child.run()
}

// inner is the request that the document holds.
func (r *Request) inner(doc value) (*Request, error) {
	body := []byte(doc.str("body"))
	if firstOf(doc.str("isBase64Encoded"), doc.str("is_base64_encoded")) == "true" {
		var err error
		if body, err = base64.StdEncoding.DecodeString(string(body)); err != nil {
			return nil, fmt.Errorf("body: not base64 although isBase64Encoded says so: %w", hayate.ErrInvalid)
		}
	}
	inner := *r
	inner.Hint, inner.ContentType = "", ""
	inner.Header, inner.Query, inner.Body = headersOf(doc), queryOf(doc), body
	path := firstOf(doc.str("rawPath"), doc.str("path"), doc.str("raw_path"))
	if _, hint, found := strings.Cut(path, "/v1/webhooks/"); found {
		inner.Hint = hint
	}
	c := doc.get("requestContext")
	kind := lambdaHTTPType(doc)
	host := firstOf(c.str("domainName"), inner.header("Host"))
	if host != "" {
		host = "https://" + host
	}
	inner.wrapper = &draft{
		typ:     kind,
		source:  firstOf(c.str("elb", "targetGroupArn"), c.str("serviceArn"), host, kind),
		subject: strings.TrimPrefix(path, "/"),
		id:      firstOf(c.str("messageId"), c.str("requestId"), inner.header("X-Amzn-Trace-Id")),
		same:    true,
		time:    firstTime(moment(c.str("timeEpoch")), moment(c.str("requestTimeEpoch"))),
	}
	return &inner, nil
}

// headersOf looks a request's headers up without regard to case.
func headersOf(doc value) func(string) string {
	headers := map[string]string{}
	for name, v := range doc.get("multiValueHeaders").members() {
		headers[strings.ToLower(name)] = v.first().str()
	}
	for name, v := range doc.get("headers").members() {
		text := v.str()
		if v.isArray() {
			text = v.first().str()
		}
		headers[strings.ToLower(name)] = text
	}
	return func(name string) string { return headers[strings.ToLower(name)] }
}

// queryOf is the request's query, from whichever member has most of it.
func queryOf(doc value) url.Values {
	q := url.Values{}
	if raw := doc.str("rawQueryString"); raw != "" {
		if parsed, err := url.ParseQuery(raw); err == nil {
			return parsed
		}
	}
	for _, name := range []string{"multiValueQueryStringParameters", "queryStringParameters", "query_string_parameters"} {
		for key, v := range doc.get(name).members() {
			if q.Has(key) {
				continue
			}
			if !v.isArray() {
				q.Add(key, v.str())
			}
			for e := range v.items() {
				q.Add(key, e.str())
			}
		}
	}
	return q
}
