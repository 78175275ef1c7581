package lambdahost

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
)

// url serves a function's URL: requests become payloads of version 2.0.
func (s *Stack) url(f *deployed) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
		if err != nil {
			http.Error(w, `{"message":"Request Too Large"}`, http.StatusRequestEntityTooLarge)
			return
		}
		payload, err := json.Marshal(urlPayload(r, body))
		if err == nil {
			payload, err = f.Invoke(r.Context(), payload)
		}
		if err != nil {
			s.c.Log.Error("request to the function's URL failed", "function", f.id, "err", err)
			http.Error(w, `{"message":"Internal Server Error"}`, http.StatusBadGateway)
			return
		}
		writeAnswer(w, payload)
	})
}

// urlPayload describes a request as a function URL does.
func urlPayload(r *http.Request, body []byte) map[string]any {
	headers := map[string]string{"host": r.Host}
	for k, v := range r.Header {
		headers[strings.ToLower(k)] = strings.Join(v, ",")
	}
	source, _, _ := net.SplitHostPort(r.RemoteAddr) // "" where it is none
	now := time.Now()
	p := map[string]any{"version": "2.0", "routeKey": "$default", "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery, "headers": headers,
		"requestContext": map[string]any{"accountId": "anonymous", "apiId": "local", "domainName": "local.lambda-url." + region + ".on.aws", "requestId": requestID(),
			"routeKey": "$default", "stage": "$default", "time": now.UTC().Format("02/Jan/2006:15:04:05 -0700"), "timeEpoch": now.UnixMilli(),
			"http": map[string]string{"method": r.Method, "path": r.URL.Path, "protocol": r.Proto, "sourceIp": source, "userAgent": r.UserAgent()}}}
	if cookies := r.Header.Values("Cookie"); len(cookies) > 0 {
		p["cookies"] = strings.Split(strings.Join(cookies, "; "), "; ")
	}
	p["isBase64Encoded"] = !utf8.Valid(body)
	if utf8.Valid(body) {
		p["body"] = string(body)
	} else {
		p["body"] = base64.StdEncoding.EncodeToString(body)
	}
	return p
}

// writeAnswer writes what a function answered. What is no answer of version 2.0
// is the body itself, as JSON.
func writeAnswer(w http.ResponseWriter, payload []byte) {
	var a struct {
		Status  int               `json:"statusCode"`
		Headers map[string]string `json:"headers"`
		Cookies []string          `json:"cookies"`
		Body    string            `json:"body"`
		Base64  bool              `json:"isBase64Encoded"`
	}
	if json.Unmarshal(payload, &a) != nil || a.Status == 0 {
		a.Status, a.Body, a.Headers = http.StatusOK, string(payload), map[string]string{"Content-Type": "application/json"}
	}
	for k, v := range a.Headers {
		w.Header().Set(k, v)
	}
	for _, c := range a.Cookies {
		w.Header().Add("Set-Cookie", c)
	}
	body := []byte(a.Body)
	if a.Base64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			http.Error(w, `{"message":"Internal Server Error"}`, http.StatusBadGateway)
			return
		}
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(body) // whoever has gone away learns nothing
}

// asyncPauses are those before an asynchronous invocation is repeated; Lambda
// waits one and two minutes.
var asyncPauses = [...]time.Duration{time.Second, 2 * time.Second}

// invocations serves Lambda's API for invocations, as SDKs call it.
func (s *Stack) invocations() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", func(w http.ResponseWriter, r *http.Request) {
		f := s.named(r.PathValue("name"))
		if f == nil {
			w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
			reply(w, http.StatusNotFound, map[string]string{"Type": "User", "Message": "Function not found: " + r.PathValue("name")})
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
		if err != nil {
			w.Header().Set("X-Amzn-Errortype", "RequestTooLargeException")
			reply(w, http.StatusRequestEntityTooLarge, map[string]string{"message": "Request must be smaller"})
			return
		}
		if r.Header.Get("X-Amz-Invocation-Type") == "Event" {
			// An event is accepted once; it is tried again beside the request.
			s.work.Go(func() { s.async(context.WithoutCancel(r.Context()), f, body) })
			w.WriteHeader(http.StatusAccepted)
			return
		}
		answer, err := f.Invoke(r.Context(), body)
		var fe *FunctionError
		switch {
		case errors.Is(err, hayate.ErrBusy):
			w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
			reply(w, http.StatusTooManyRequests, map[string]string{"Type": "User", "message": "Rate Exceeded."})
			return
		case errors.As(err, &fe):
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			answer = fe.Body
		case err != nil:
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			answer, err = json.Marshal(map[string]string{"errorType": "Sandbox", "errorMessage": err.Error()})
			if err != nil {
				answer = nil // texts only
			}
		}
		w.Header().Set("X-Amz-Executed-Version", "$LATEST")
		_, _ = w.Write(answer) // whoever has gone away learns nothing
	})
	return mux
}

// named finds a function by its name, its ARN or its logical id.
func (s *Stack) named(name string) *deployed {
	name, _, _ = strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":$")
	for id, f := range s.functions {
		if name == id || name == f.name || strings.HasSuffix(name, ":function:"+f.name) || strings.HasSuffix(name, ":function:"+s.physical(id)) {
			return f
		}
	}
	return nil
}

// async invokes a function and repeats that where it fails.
func (s *Stack) async(ctx context.Context, f *deployed, body []byte) {
	for i := 0; ; i++ {
		_, err := f.Invoke(ctx, body)
		if err == nil || errors.Is(err, hayate.ErrBusy) {
			return
		}
		s.c.Log.Warn("asynchronous invocation failed", "function", f.id, "try", i+1, "err", err)
		if i == len(asyncPauses) {
			return
		}
		wait(ctx, asyncPauses[i])
	}
}
