// Package normalize turns what monitoring, CI and cloud sources send into
// CloudEvents. A request comes in as a value, events go out as values: the
// package reads no clock, no network and no store, and draws no random number;
// the time and fresh identifiers are part of the request.
//
// Each source has one file, named for it, and one line in the table of
// sources.go: how it is recognised and how its events are made. Everything else
// (reading JSON, forms, XML and text in any charset; unwrapping SNS in SQS,
// HTTP requests in Lambda events; bounds) is shared.
//
// Where the CloudEvents specification has an adapter (GitHub, GitLab, Amazon
// S3, Amazon SNS), its attributes are used as they stand.
package normalize
