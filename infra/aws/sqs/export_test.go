package sqs

// URL is the queue of SQS for a target.
func (q *Queue) URL(target string) string { return q.c.URLs[target] }
