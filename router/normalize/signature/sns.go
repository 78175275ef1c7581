package signature

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // G505: version 1 of SNS's signatures is SHA1 with RSA
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// SNSMessage is what Amazon SNS posts, as far as its signature and the answer to
// it need.
type SNSMessage struct {
	Type, MessageID, TopicArn string
	Message, Timestamp        string
	Subject                   *string // nil where there is none
	SubscribeURL, Token       string  // of confirmations
	SignatureVersion          string
	Signature, SigningCertURL string
}

// ReadSNS reads a message from a request's body. Names count with their case,
// and of members with one name the last, as in package normalize: what is
// checked is what is used.
func ReadSNS(body []byte) (*SNSMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fmt.Errorf("body: not a message of SNS: %v: %w", err, hayate.ErrInvalid)
	}
	m := &SNSMessage{}
	for name, to := range map[string]*string{
		"Type": &m.Type, "MessageId": &m.MessageID, "TopicArn": &m.TopicArn, "Message": &m.Message, "Timestamp": &m.Timestamp,
		"SubscribeURL": &m.SubscribeURL, "Token": &m.Token,
		"SignatureVersion": &m.SignatureVersion, "Signature": &m.Signature, "SigningCertURL": &m.SigningCertURL,
	} {
		if text, ok := members[name]; ok {
			if err := json.Unmarshal(text, to); err != nil {
				return nil, fmt.Errorf("%s: %v: %w", name, err, hayate.ErrInvalid)
			}
		}
	}
	if text, ok := members["Subject"]; ok {
		if err := json.Unmarshal(text, &m.Subject); err != nil {
			return nil, fmt.Errorf("%s: %v: %w", "Subject", err, hayate.ErrInvalid)
		}
	}
	return m, nil
}

// StringToSign is the text that the signature covers: chosen members with their
// names, a line each, in alphabetical order.
func (m *SNSMessage) StringToSign() string {
	var b strings.Builder
	line := func(name, text string) { b.WriteString(name + "\n" + text + "\n") }
	line("Message", m.Message)
	line("MessageId", m.MessageID)
	if m.Type == "Notification" {
		if m.Subject != nil {
			line("Subject", *m.Subject)
		}
	} else {
		line("SubscribeURL", m.SubscribeURL)
	}
	line("Timestamp", m.Timestamp)
	if m.Type != "Notification" {
		line("Token", m.Token)
	}
	line("TopicArn", m.TopicArn)
	line("Type", m.Type)
	return b.String()
}

// Verify checks the message's signature with a certificate in PEM, which must
// have come from a SigningCertURL that CertificateURL accepts, and be valid now.
// Versions 1 (SHA-1) and 2 (SHA-256) are known.
func (m *SNSMessage) Verify(certificate []byte, now time.Time) error {
	switch m.Type {
	case "Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation":
	default:
		return denied("unknown type %q of a message of SNS", m.Type)
	}
	key, err := publicKey(certificate, now)
	if err != nil {
		return err
	}
	code, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil || len(code) == 0 {
		return denied("the member Signature is missing or not base64")
	}
	text := []byte(m.StringToSign())
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(text) //nolint:gosec // G401: see the import
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], code)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], code)
	default:
		return denied("unknown SignatureVersion %q, want 1 or 2", m.SignatureVersion)
	}
	if err != nil {
		return denied("does not fit the message")
	}
	return nil
}

func publicKey(certificate []byte, now time.Time) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, denied("the certificate is not in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, denied("the certificate cannot be read: %v", err)
	}
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return nil, denied("the certificate is valid from %s to %s only", c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, denied("the certificate's key is not RSA")
	}
	return key, nil
}

// snsHost is the host of SNS in a region, in the partitions of the world and of
// China.
var snsHost = regexp.MustCompile(`^sns\.[a-z0-9]+(-[a-z0-9]+){2,3}\.amazonaws\.com(\.cn)?$`)

// CertificateURL checks that a SigningCertURL leads to Amazon: https, the host
// of SNS in some region, nothing before or after it, a path that ends in .pem.
// Only then may the certificate be fetched.
func CertificateURL(raw string) error {
	u, err := snsURL("SigningCertURL", raw)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(u.Path, ".pem") || u.RawQuery != "" || strings.Contains(u.Path, "..") {
		return denied("SigningCertURL does not name a .pem file")
	}
	return nil
}

// ConfirmationURL checks that a SubscribeURL leads to SNS of the topic's region
// and confirms a subscription to that topic. Only then may it be fetched.
func ConfirmationURL(raw, topicArn string) error {
	u, err := snsURL("SubscribeURL", raw)
	if err != nil {
		return err
	}
	q := u.Query()
	if q.Get("Action") != "ConfirmSubscription" || q.Get("TopicArn") != topicArn {
		return denied("SubscribeURL does not confirm a subscription to %s", topicArn)
	}
	if part := strings.Split(topicArn, ":"); len(part) < 6 || !strings.HasPrefix(u.Hostname(), "sns."+part[3]+".") {
		return denied("SubscribeURL leads to another region than that of %s", topicArn)
	}
	return nil
}

func snsURL(member, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || raw == "":
		return nil, denied("%s is missing or not a URL", member)
	case u.Scheme != "https":
		return nil, denied("%s is not https", member)
	case u.User != nil || u.Fragment != "" || u.Port() != "" && u.Port() != "443":
		return nil, denied("%s has parts that SNS never sends", member)
	case !snsHost.MatchString(u.Hostname()):
		return nil, denied("%s does not lead to SNS but to %q", member, u.Hostname())
	}
	return u, nil
}
