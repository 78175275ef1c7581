package amqp

import (
	"errors"
	"time"
)

// A quorum queue that was deleted and declared again within moments may keep the
// consumers of the old one: the server counts them, has messages delivered to them,
// and their channel drops what it takes for old. Nothing tells the consumer. So a
// queue that was lost is left alone for settleFor before it is declared again, until
// all who consumed it have heard of its end, and a consumer that hears nothing opens
// a new channel, which also gives back what the old one was said to have.
const (
	settleFor  = time.Second
	stallAfter = 10 * time.Second // of silence while messages are ready and there is room for them
	renewAfter = 10 * time.Second // of silence while nothing is known to wait
)

// errStalled says that messages wait and none is delivered.
var errStalled = errors.New("messages are ready and none comes")

// silence watches a consumer that may have been forgotten. Its zero value has heard
// nothing yet.
type silence struct {
	heard time.Time // the last delivery, or when there was room again
	ready time.Time // since when messages are ready that do not come; zero: they are not
}

// broken notes that something came, or that nothing can come.
func (s *silence) broken(now time.Time) { s.heard, s.ready = now, time.Time{} }

// renew says whether the consumer needs a new channel: with an error where it was
// seen that messages do not come. ready is how many messages the queue has for
// anybody, held how many are in this consumer's hands, limit how many it takes.
func (s *silence) renew(now time.Time, ready, held, limit int) (bool, error) {
	if s.heard.IsZero() || held >= limit {
		s.broken(now)
	}
	switch {
	case ready == 0:
		s.ready = time.Time{}
	case s.ready.IsZero():
		s.ready = now
	}
	if !s.ready.IsZero() && now.Sub(s.ready) >= stallAfter {
		return true, errStalled
	}
	return held == 0 && now.Sub(s.heard) >= renewAfter, nil
}
