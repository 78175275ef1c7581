// Package httpdesk brings what a worker says to hayate's API by HTTPS: for sites
// whose workers receive their tasks from a RabbitMQ on which nobody in the cloud
// listens. Tokens that come with the tasks are all that such a worker needs.
package httpdesk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/remote"
)

// Path is where the API takes what workers say.
const Path = "/v1/worker"

// maxReply bounds an answer: a part of a bundle, or a task.
const maxReply = 32 << 20

// Caller is remote.Caller by HTTPS. Its methods may be called from many goroutines.
type Caller struct {
	url    string
	client *http.Client
	agent  string
}

var _ remote.Caller = (*Caller)(nil)

// New returns a Caller for an API's address. agent is how it introduces itself.
func New(address, agent string, client *http.Client) (*Caller, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("report to %q: want https://HOST: %w", address, hayate.ErrInvalid)
	}
	if client == nil {
		client = http.DefaultClient
	}
	return &Caller{url: strings.TrimRight(address, "/") + Path, client: client, agent: agent}, nil
}

// Call implements remote.Caller.
func (c *Caller) Call(ctx context.Context, q remote.Request) (remote.Reply, error) {
	token := q.Token
	q.Token = "" // it travels as other tokens do
	body, err := json.Marshal(q)
	if err != nil {
		return remote.Reply{}, fmt.Errorf("ask for %s: %w", q.Kind, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return remote.Reply{}, fmt.Errorf("ask for %s: %w", q.Kind, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", c.agent)
	res, err := c.client.Do(req)
	if err != nil {
		return remote.Reply{}, fmt.Errorf("ask for %s: %v: %w", q.Kind, err, hayate.ErrBusy)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return remote.Reply{}, fmt.Errorf("ask for %s: %v: %w", q.Kind, err, hayate.ErrBusy)
	}
	var a remote.Reply
	if err := json.Unmarshal(text, &a); err != nil || a.ID != q.ID {
		// A proxy's page, or an API that does not know this: whoever answers may get better.
		return remote.Reply{}, fmt.Errorf("ask for %s: %s answered %s and %.200q: %w", q.Kind, c.url, res.Status, text, hayate.ErrBusy)
	}
	return a, nil
}
