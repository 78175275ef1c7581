package amqp

import (
	"errors"
	"testing"
	"time"
)

func TestASilentConsumerIsRenewed(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		ready, held int
		after       time.Duration
		renew       bool
		err         error
	}{
		"nothing waits":                {0, 0, 9 * time.Second, false, nil},
		"nothing waits for a while":    {0, 0, 10 * time.Second, true, nil},
		"some are in hand":             {0, 1, time.Hour, false, nil},
		"messages have just come":      {5, 0, 9 * time.Second, false, nil},
		"messages are ready":           {5, 0, 10 * time.Second, true, errStalled},
		"messages are ready, one held": {5, 1, 10 * time.Second, true, errStalled},
		"there is no room":             {5, 32, time.Hour, false, nil},
	} {
		var s silence
		if renew, err := s.renew(begin, c.ready, c.held, 32); renew || err != nil {
			t.Errorf("%s: renewed at once: %v", name, err)
		}
		renew, err := s.renew(begin.Add(c.after), c.ready, c.held, 32)
		if renew != c.renew || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v; want %v, %v", name, renew, err, c.renew, c.err)
		}
		s.broken(begin.Add(c.after))
		if renew, err := s.renew(begin.Add(c.after), c.ready, c.held, 32); renew || err != nil {
			t.Errorf("%s: renewed although something came: %v", name, err)
		}
	}
}
