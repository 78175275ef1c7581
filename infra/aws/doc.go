// Package aws connects hayate to Amazon's services: it makes a Lambda function of
// a router.
package aws
