package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/hayate-run/hayate"
)

// awsSession finds the region and the credentials of actions on Amazon's services
// as their own tools do: environment, profiles, the host's role.
func awsSession(ctx context.Context) (aws.Config, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return c, fmt.Errorf("read the configuration of AWS: %v: %w", err, hayate.ErrInvalid)
	}
	if c.Region == "" {
		return c, fmt.Errorf("no region of AWS is configured; set AWS_REGION, or the action's parameter region: %w", hayate.ErrInvalid)
	}
	return c, nil
}
