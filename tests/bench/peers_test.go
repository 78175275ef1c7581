package bench_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// peer is another engine, driven by a program of its own: JSON lines of the file
// that HAYATE_BENCH_PEERS names (peers.sh makes one). The command gets the arguments
// -w W1 -c CLIENTS -d WINDOW -out FILE added and appends a JSON object with wf_s,
// steps_s, p50_ms, p99_ms, pss_mib, disk_b_per_wf, server_cpu_ms_per_step,
// bench_cpu_ms_per_step, other_cpu_share and errs to FILE; count does the same with
// syncs_per_step.
type peer struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Count   []string `json:"count"`
	// Syncs says that what it acknowledges is on disk, Bound that it is no engine but
	// what the machine allows.
	Syncs bool `json:"syncs"`
	Bound bool `json:"bound"`
}

// peerResult is what a peer's driver says.
type peerResult struct {
	Rate   float64 `json:"wf_s"`
	Steps  float64 `json:"steps_s"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	PSS    float64 `json:"pss_mib"`
	Disk   float64 `json:"disk_b_per_wf"`
	CPU    float64 `json:"server_cpu_ms_per_step"`
	Driver float64 `json:"bench_cpu_ms_per_step"`
	Others float64 `json:"other_cpu_share"`
	Errs   int     `json:"errs"`
	Syncs  float64 `json:"syncs_per_step"`
}

// readPeers returns the peers of the file, none where none is named.
func readPeers(t *testing.T) (all []peer) {
	t.Helper()
	file := os.Getenv(peersEnv)
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		p := peer{Syncs: true}
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, p)
	}
	return all
}

// do runs one of the peer's commands and returns what it says.
func (p *peer) do(t *testing.T, command []string, w string, clients int) (peerResult, error) {
	t.Helper()
	var r peerResult
	if len(command) == 0 {
		return r, fmt.Errorf("no command is named")
	}
	result := filepath.Join(t.TempDir(), "result")
	args := append(command[1:len(command):len(command)], "-w", w, "-c", strconv.Itoa(clients), "-d", window.String(), "-out", result)
	if out, err := exec.Command(command[0], args...).CombinedOutput(); err != nil {
		return r, fmt.Errorf("%w: %s", err, out)
	}
	b, err := os.ReadFile(result)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

func ms(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }

// measure measures workflows.
func (p *peer) measure(t *testing.T, w *workload, clients int) (row, error) {
	r, err := p.do(t, p.Command, w.name, clients)
	if err != nil {
		return row{}, err
	}
	if r.Steps == 0 || r.Errs > 0 {
		return row{}, fmt.Errorf("%d errors, %.0f steps a second", r.Errs, r.Steps)
	}
	cpu := r.CPU
	if r.CPU != r.Driver { // the driver is another process
		cpu += r.Driver
	}
	return row{engine: p.Name, w: w, clients: clients, bound: p.Bound, syncs: p.Syncs, rate: r.Steps, p50: ms(r.P50), p99: ms(r.P99),
		cpu: ms(cpu), disk: r.Disk, memory: int64(r.PSS * (1 << 20)), others: r.Others}, nil
}

func (p *peer) countSyncs(t *testing.T, w *workload, clients int) (float64, error) {
	r, err := p.do(t, p.Count, w.name, clients)
	if err == nil && r.Syncs == 0 {
		err = fmt.Errorf("it says %+v", r)
	}
	return r.Syncs, err
}

// figures measures one step, as an event is one.
func (p *peer) figures(t *testing.T, clients int) (figure, error) {
	r, err := p.do(t, p.Command, "W2", clients)
	if err != nil {
		return figure{}, err
	}
	if r.Rate == 0 || r.Errs > 0 {
		return figure{}, fmt.Errorf("%d errors, %.0f a second", r.Errs, r.Rate)
	}
	return figure{Engine: p.Name, Clients: clients, Rate: r.Rate, P50: ms(r.P50), P99: ms(r.P99), RSS: int64(r.PSS * (1 << 20)), CPU: ms(r.CPU)}, nil
}

func peers(t *testing.T, clients int) (out []figure) {
	for _, p := range readPeers(t) {
		if p.Bound {
			continue
		}
		f, err := p.figures(t, clients)
		if err != nil {
			t.Logf("%s at %d clients: not measured: %v", p.Name, clients, err)
			continue
		}
		out = append(out, f)
	}
	return out
}
