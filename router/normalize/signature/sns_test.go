package signature_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize/signature"
)

// signer is a key with its certificate, valid for the hours around now.
func signer(t *testing.T) (*rsa.PrivateKey, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.example"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

const (
	plainText = "Message\nhello\nMessageId\n1\nTimestamp\n2026-01-02T03:04:05.000Z\nTopicArn\narn:aws:sns:eu-west-1:1:t\nType\nNotification\n"
	subjectTo = "Message\nhello\nMessageId\n1\nSubject\n障害\nTimestamp\n2026-01-02T03:04:05.000Z\nTopicArn\narn:aws:sns:eu-west-1:1:t\nType\nNotification\n"
	confirmTo = "Message\nhello\nMessageId\n1\nSubscribeURL\nhttps://u\nTimestamp\n2026-01-02T03:04:05.000Z\nToken\ntok\nTopicArn\narn:aws:sns:eu-west-1:1:t\nType\nSubscriptionConfirmation\n"
)

func TestSNSVerify(t *testing.T) {
	t.Parallel()
	key, certificate := signer(t)
	_, other := signer(t)
	tests := []struct {
		name, toSign, version string
		members               map[string]any
	}{
		{"a notification", plainText, "1", nil},
		{"a notification with a subject, version 2", subjectTo, "2", map[string]any{"Subject": "障害"}},
		{"a notification whose subject is null", plainText, "2", map[string]any{"Subject": nil}},
		{"a confirmation", confirmTo, "1", map[string]any{"Type": "SubscriptionConfirmation", "SubscribeURL": "https://u", "Token": "tok"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			members := map[string]any{"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "hello",
				"Timestamp": "2026-01-02T03:04:05.000Z", "SignatureVersion": tt.version, "Signature": sign(t, key, tt.version, tt.toSign)}
			for k, v := range tt.members {
				members[k] = v
			}
			m := read(t, members)
			if got := m.StringToSign(); got != tt.toSign {
				t.Errorf("string to sign is %q, want %q", got, tt.toSign)
			}
			if err := m.Verify(certificate, now); err != nil {
				t.Errorf("genuine: %v", err)
			}
			if err := m.Verify(other, now); !errors.Is(err, hayate.ErrDenied) {
				t.Errorf("another certificate: got %v, want ErrDenied", err)
			}
			if err := m.Verify(certificate, now.Add(2*time.Hour)); !errors.Is(err, hayate.ErrDenied) {
				t.Errorf("an expired certificate: got %v, want ErrDenied", err)
			}
			if err := m.Verify([]byte("no PEM"), now); !errors.Is(err, hayate.ErrDenied) {
				t.Errorf("no certificate: got %v, want ErrDenied", err)
			}
			for _, change := range []string{"Message", "MessageId", "TopicArn", "Timestamp", "Type", "SignatureVersion", "Signature"} {
				changed := map[string]any{}
				for k, v := range members {
					changed[k] = v
				}
				changed[change] = "1x"
				if err := read(t, changed).Verify(certificate, now); !errors.Is(err, hayate.ErrDenied) {
					t.Errorf("changed %s: got %v, want ErrDenied", change, err)
				}
			}
		})
	}
}

func sign(t *testing.T, key *rsa.PrivateKey, version, text string) string {
	t.Helper()
	kind, sum := crypto.SHA256, sha256.Sum256([]byte(text))
	digest := sum[:]
	if version == "1" {
		s := sha1.Sum([]byte(text))
		kind, digest = crypto.SHA1, s[:]
	}
	code, err := rsa.SignPKCS1v15(rand.Reader, key, kind, digest)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(code)
}

func read(t *testing.T, members map[string]any) *signature.SNSMessage {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	m, err := signature.ReadSNS(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A recorded message must not lend its signature to another text by the side of
// its own.
func TestReadSNSTakesWhatNormalizeTakes(t *testing.T) {
	t.Parallel()
	m, err := signature.ReadSNS([]byte(`{"Message":"first","Message":"last","message":"signed","MESSAGE":"signed"}`))
	if err != nil || m.Message != "last" {
		t.Errorf("Message is %q, %v; want the last member of exactly that name", m.Message, err)
	}
	if _, err := signature.ReadSNS([]byte(`{"Message":{}}`)); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("an object as Message: got %v, want ErrInvalid", err)
	}
}

func TestCertificateURL(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a1b.pem": true,
		"https://sns.us-gov-west-1.amazonaws.com/a.pem":                          true,
		"https://sns.cn-north-1.amazonaws.com.cn/a.pem":                          true,
		"https://sns.us-east-1.amazonaws.com:443/a.pem":                          true,
		"http://sns.us-east-1.amazonaws.com/a.pem":                               false,
		"https://sns.us-east-1.amazonaws.com.evil.example/a.pem":                 false,
		"https://evil.example/sns.us-east-1.amazonaws.com/a.pem":                 false,
		"https://sns.us-east-1.amazonaws.com@evil.example/a.pem":                 false,
		"https://user@sns.us-east-1.amazonaws.com/a.pem":                         false,
		"https://sns.us-east-1.amazonaws.com:8443/a.pem":                         false,
		"https://sns.us-east-1.amazonaws.com/a.txt":                              false,
		"https://sns.us-east-1.amazonaws.com/?a=.pem":                            false,
		"https://sns.us-east-1.amazonaws.com/a.pem?x":                            false,
		"https://bucket.s3.amazonaws.com/a.pem":                                  false,
		"https://sns.evil.amazonaws.com/a.pem":                                   false,
		"":                                                                       false,
	}
	for url, want := range tests {
		err := signature.CertificateURL(url)
		if got := err == nil; got != want {
			t.Errorf("CertificateURL(%q) = %v, want accepted = %v", url, err, want)
		}
		if err != nil && !errors.Is(err, hayate.ErrDenied) {
			t.Errorf("CertificateURL(%q) = %v, not ErrDenied", url, err)
		}
	}
}

func TestConfirmationURL(t *testing.T) {
	t.Parallel()
	const topic = "arn:aws:sns:us-east-1:123456789012:alarms"
	good := "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=t"
	if err := signature.ConfirmationURL(good, topic); err != nil {
		t.Errorf("genuine: %v", err)
	}
	for _, bad := range []string{
		strings.Replace(good, "ConfirmSubscription", "Unsubscribe", 1),
		strings.Replace(good, "alarms", "other", 1),
		strings.Replace(good, "sns.us-east-1", "sns.eu-west-1", 1),
		strings.Replace(good, "amazonaws.com", "example.com", 1),
	} {
		if err := signature.ConfirmationURL(bad, topic); !errors.Is(err, hayate.ErrDenied) {
			t.Errorf("ConfirmationURL(%q) = %v, want ErrDenied", bad, err)
		}
	}
}

func FuzzSNS(f *testing.F) {
	f.Add([]byte(`{"Type":"Notification","Message":"m","Signature":"AA==","SignatureVersion":"1"}`), []byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, text, certificate []byte) {
		m, err := signature.ReadSNS(text)
		if err != nil {
			return
		}
		if err := m.Verify(certificate, now); err == nil {
			t.Errorf("accepted %q with %q", text, certificate)
		}
		_ = signature.CertificateURL(m.SigningCertURL)
	})
}
