// Package aws makes Lambda functions of a router: what they are invoked with is
// decoded, handed to the router, and answered as Lambda wants it. Its folders
// sqs and s3 are the queue and the blobs on Amazon's services; each function
// links those that it uses.
package aws
