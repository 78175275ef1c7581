package s3_test

import (
	"os"
	"testing"

	"github.com/hayate-run/hayate/infra/aws/s3"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/routertest"
	"github.com/hayate-run/hayate/tests/aws/awstest"
)

var emulator awstest.Server

func TestMain(m *testing.M) {
	code := m.Run()
	emulator.Stop()
	os.Exit(code)
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	routertest.TestBlobs(t, func(t *testing.T) router.Blobs {
		b, err := s3.New(s3.Config{Client: emulator.S3(t), Bucket: emulator.Bucket(t), Prefix: "carried/"})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		return b
	})
}
