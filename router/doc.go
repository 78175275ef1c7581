// Package router takes events in, applies the rules, hands out tasks and
// advances runs. It decides and orders; everything outside it is reached
// through the ports it declares (ports.go). See DESIGN.md in this folder for
// the states and for what is durable when.
package router
