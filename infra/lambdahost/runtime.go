package lambdahost

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/hayate-run/hayate"
)

// accountID stands in the function's ARN.
const accountID = "123456789012"

// api serves Lambda's Runtime API, version 2018-06-01, and as much of the
// Extensions API as runtimes use themselves: a registration makes Lambda send
// SIGTERM before the end, which this host does anyway.
func (e *environment) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", e.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", e.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", e.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", e.initFailure)
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", requestID())
		reply(w, http.StatusOK, map[string]string{"functionName": r.Header.Get("Lambda-Extension-Name"), "functionVersion": "$LATEST", "handler": "bootstrap"})
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // no events are asked for; the request ends with the process
	})
	return mux
}

// next hands out the next invocation when there is one.
func (e *environment) next(w http.ResponseWriter, r *http.Request) {
	e.initOnce.Do(func() { close(e.initDone) })
	select {
	case inv := <-e.work:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:"+accountID+":function:"+e.name)
		h.Set("Lambda-Runtime-Trace-Id", fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", inv.deadline.Unix(), randomHex(12), randomHex(8)))
		h.Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(inv.payload) // a process that has gone is noticed by its end
	case <-r.Context().Done():
	case <-e.exited:
	}
}

// invocation returns the invocation that a request is about, or answers that
// there is none.
func (e *environment) invocation(w http.ResponseWriter, r *http.Request) *invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == nil || e.current.id != r.PathValue("id") {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	}
	return e.current
}

// response takes the answer of the function. A streamed answer may end with an
// error in its trailer.
func (e *environment) response(w http.ResponseWriter, r *http.Request) {
	inv := e.invocation(w, r)
	if inv == nil {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	var out outcome
	switch typ := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); {
	case err != nil:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size ("+strconv.Itoa(maxPayload)+" bytes).")
		inv.settle(outcome{err: fmt.Errorf("the answer cannot be read: %v: %w", err, hayate.ErrTooLarge)})
		return
	case typ != "":
		out.err = &FunctionError{Type: typ, Message: "the answer broke off", Body: body}
	default:
		out.body = body
	}
	reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
	inv.settle(out)
}

// settle gives the invocation its outcome; a second one is ignored.
func (i *invocation) settle(o outcome) {
	select {
	case i.answer <- o:
	default:
	}
}

// failure takes the error of the function.
func (e *environment) failure(w http.ResponseWriter, r *http.Request) {
	inv := e.invocation(w, r)
	if inv == nil {
		return
	}
	err := readError(r)
	reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
	inv.settle(outcome{err: err})
}

// initFailure takes the reason why a process cannot serve.
func (e *environment) initFailure(w http.ResponseWriter, r *http.Request) {
	err := readError(r)
	reply(w, http.StatusAccepted, map[string]string{"status": "OK"})
	select {
	case e.initError <- err:
	default:
	}
}

func readError(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload))
	if err != nil {
		return fmt.Errorf("the function failed, and its error cannot be read: %w", err)
	}
	fe := &FunctionError{Body: body}
	if json.Unmarshal(body, fe) != nil || fe.Type == "" {
		fe.Type = r.Header.Get("Lambda-Runtime-Function-Error-Type")
	}
	return fe
}

func refuse(w http.ResponseWriter, status int, typ, msg string) {
	reply(w, status, map[string]string{"errorType": typ, "errorMessage": msg})
}

func reply(w http.ResponseWriter, status int, v map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a process that has gone is noticed by its end
}
