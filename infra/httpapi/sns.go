package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize/signature"
)

// certificates keeps SNS signing certificates by URL. There are a handful in the
// world; the bound keeps a forger from filling memory.
type certificates struct {
	mu sync.Mutex
	m  map[string][]byte
}

// The bounds of fetching certificates.
const (
	maxCertificates = 64
	maxCertificate  = 64 << 10
)

// snsMessage checks an SNS delivery's signature and answers a subscription
// confirmation of an allowed topic. done says that the request is dealt with.
func (s *Server) snsMessage(r *http.Request, body []byte) (done bool, err error) {
	m, err := signature.ReadSNS(body)
	if err != nil {
		return false, err
	}
	if !s.SNSUnsigned {
		if err := signature.CertificateURL(m.SigningCertURL); err != nil {
			return false, err
		}
		cert, err := s.sns.get(r.Context(), s.Client, m.SigningCertURL)
		if err != nil {
			return false, err
		}
		if err := m.Verify(cert, s.Now()); err != nil {
			return false, err
		}
	}
	if m.Type != "SubscriptionConfirmation" {
		return false, nil
	}
	if !slices.Contains(s.SNSTopics, m.TopicArn) {
		return false, fmt.Errorf("the topic %s is not allowed to subscribe; allow it with the setting sns-topics: %w", m.TopicArn, hayate.ErrDenied)
	}
	if !s.SNSUnsigned {
		if err := signature.ConfirmationURL(m.SubscribeURL, m.TopicArn); err != nil {
			return false, err
		}
	}
	if _, err := fetch(r.Context(), s.Client, m.SubscribeURL); err != nil {
		return false, fmt.Errorf("confirm the subscription of %s: %w", m.TopicArn, err)
	}
	s.Log.Info("subscription confirmed", "topic", m.TopicArn)
	return true, nil
}

func (c *certificates) get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.m[url]; ok {
		return b, nil
	}
	b, err := fetch(ctx, client, url)
	if err != nil {
		return nil, fmt.Errorf("fetch the SNS certificate: %w", err)
	}
	if c.m == nil || len(c.m) >= maxCertificates {
		c.m = map[string][]byte{}
	}
	c.m[url] = b
	return b, nil
}

func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, hayate.ErrBusy)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxCertificate))
	if err != nil {
		return nil, fmt.Errorf("%v: %w", err, hayate.ErrBusy)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s: %w", req.URL.Host, res.Status, hayate.ErrBusy)
	}
	return b, nil
}

// readMultipart reads the fields of a form; files are read as fields.
func readMultipart(body []byte, boundary string) (map[string][]string, error) {
	out := map[string][]string{}
	mr := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		out[p.FormName()] = append(out[p.FormName()], string(b))
	}
}
