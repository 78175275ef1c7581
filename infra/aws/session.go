package aws

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hayate-run/hayate"
)

// Session is the SDK's configuration inside a Lambda function: the region, the
// credentials and the endpoints that the environment names. It reads no file and
// asks no other service, which would cost a cold start more than all the rest.
// ErrInvalid says what the environment lacks.
func Session(getenv func(string) string) (aws.Config, error) {
	c := aws.Config{Region: first(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))}
	if c.Region == "" {
		return c, fmt.Errorf("AWS_REGION is not set: %w", hayate.ErrInvalid)
	}
	keys := aws.Credentials{AccessKeyID: getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: getenv("AWS_SESSION_TOKEN"), Source: "environment"}
	if keys.AccessKeyID == "" || keys.SecretAccessKey == "" {
		return c, fmt.Errorf("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: %w", hayate.ErrInvalid)
	}
	c.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
	if url := getenv("AWS_ENDPOINT_URL"); url != "" {
		c.BaseEndpoint = &url
	}
	c.ConfigSources = []any{endpoints{getenv}}
	return c, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// endpoints tells the SDK's clients the endpoint of their own service,
// AWS_ENDPOINT_URL_SQS and the like.
type endpoints struct{ getenv func(string) string }

// GetServiceBaseEndpoint implements what the SDK's clients ask their
// configuration for; its error is always nil.
func (e endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	url := e.getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(service, " ", "_")))
	if url == "" {
		url = e.getenv("AWS_ENDPOINT_URL")
	}
	return url, url != "", nil
}
