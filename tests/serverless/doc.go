// Package serverless tests the functions as Lambda runs them: their real
// binaries behind the Runtime API, on MongoDB's wire protocol.
package serverless
