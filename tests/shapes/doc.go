// Package shapes runs one suite, unchanged, in each shape of hayate: embedded in
// one process, a cluster on MongoDB and RabbitMQ, and functions on Lambda with a
// worker behind RabbitMQ. docs/reference/shapes.md is made of what it finds.
package shapes
