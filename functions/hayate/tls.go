package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/settings"
)

// tlsConfig makes what the settings say about amqps; nil where they say nothing.
func tlsConfig(s settings.Settings) (*tls.Config, error) {
	if s.QueueCA == "" && s.QueueCert == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.QueueCA != "" {
		pem, err := os.ReadFile(s.QueueCA)
		if err != nil {
			return nil, fmt.Errorf("queue-ca: %v: %w", err, hayate.ErrInvalid)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("queue-ca: %s holds no certificate: %w", s.QueueCA, hayate.ErrInvalid)
		}
	}
	if s.QueueCert != "" {
		cert, err := tls.LoadX509KeyPair(s.QueueCert, s.QueueKey)
		if err != nil {
			return nil, fmt.Errorf("queue-cert, queue-key: %v: %w", err, hayate.ErrInvalid)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// makeDir makes a process's own directory.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %v: %w", err, hayate.ErrInvalid)
	}
	return nil
}
