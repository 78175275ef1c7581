package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

// authority signs the certificates of a test.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.cert, a.key = a.issue(t, "ca", true)
	return a
}

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(t *testing.T, name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.n++
	c := &x509.Certificate{SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	parent, signer := a.cert, a.key
	if ca {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(a.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func TestAWorkerElsewhereLogsInWithItsCertificate(t *testing.T) {
	a := newAuthority(t)
	a.issue(t, "server", false)
	a.issue(t, "tokyo", false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := l.Addr().String()
	l.Close()
	node := rabbittest.Node{Plugins: "rabbitmq_auth_mechanism_ssl", Config: fmt.Sprintf("listeners.ssl.1 = %s\nssl_options.cacertfile = %s\nssl_options.certfile = %s\nssl_options.keyfile = %s\n"+
		"ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\nauth_mechanisms.1 = EXTERNAL\nauth_mechanisms.2 = PLAIN\nssl_cert_login_from = common_name\n",
		secure, a.file("ca.pem"), a.file("server.pem"), a.file("server.key"))}
	t.Cleanup(node.Stop)
	c := newCluster(t, node.URL(t))
	node.Ctl(t, "add_user", "tokyo", "unused")
	node.Ctl(t, "set_permissions", "tokyo", "^hayate\\.", "^(hayate\\.|amq\\.default)", "^hayate\\.")
	s := c.start(t, c.packs(t))
	startWorker(t, "--tag", "tokyo", "--amqp", "amqps://"+secure+"/", "--name", "tokyo-1", "--data", filepath.Join(t.TempDir(), "worker"),
		"--queue-ca", a.file("ca.pem"), "--queue-cert", a.file("tokyo.pem"), "--queue-key", a.file("tokyo.key"))
	s.Send(t, hayatetest.Event("//test", "1", "test.far", `{"n":"far"}`))
	awaitEnd(t, s, 30*time.Second, 1)
	if got := s.Count(t, "executions", "status=succeeded"); got != 1 {
		t.Errorf("%d succeeded, want 1", got)
	}
}
