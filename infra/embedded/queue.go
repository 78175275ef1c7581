package embedded

import "github.com/hayate-run/hayate/infra/memory"

// newQueue returns the queue of a store: one in memory. The durable copy is the
// execution; a process that starts fills its queue from the store.
func newQueue(c Config) *memory.Queue {
	return memory.NewQueue(memory.QueueConfig{Bound: c.QueueBound, Now: c.Now})
}
