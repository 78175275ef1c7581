// Package amqp puts hayate on RabbitMQ 3.10 or later: the queue of a cluster on
// quorum queues, the messages by which workers behind a firewall claim, report and
// complete without ever touching a store, and CloudEvents in and out.
//
// A Broker keeps two connections and dials again without end, whatever happens to
// the server: one that publishes, which the server may block when it is short of
// memory or disk, and one that receives and acknowledges, which is never blocked.
// DESIGN.md in this folder has the messages, the order of the acknowledgements and
// what each failure leaves.
package amqp
