// Package systemd tells the service manager how the process is doing
// (sd_notify(3)). Outside systemd it does nothing.
package systemd

import (
	"net"
	"os"
	"strings"
)

// Notify sends a state, such as READY=1, to the socket that systemd names in the
// environment. Where there is none, or nobody listens, nothing happens: the
// process must run the same without a service manager.
func Notify(state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:] // an abstract socket
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	// A lost datagram is the service manager's to notice: its start time-out runs.
	_, _ = c.Write([]byte(state))
}
