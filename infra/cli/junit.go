package cli

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
)

// The report of JUnit's XML that continuous integration reads.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     string      `xml:"time,attr"` // seconds
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	s.Cases = append(s.Cases, c)
}

// writeJUnit writes a report: a suite a pack, and one more for its mutants.
func writeJUnit(file string, all packTests) error {
	var out junitSuites
	for i := range all.Packs {
		t := &all.Packs[i]
		s := junitSuite{Name: t.Pack}
		var total float64
		for _, f := range t.Findings {
			s.add(junitCase{Name: f.Code, Class: t.Pack, File: f.File, Line: f.Line, Time: "0", Failure: &junitFailure{Message: f.Message, Text: f.line()}})
		}
		for k, r := range t.Cases {
			c := junitCase{Name: r.Case, Class: t.Pack, File: r.File, Line: r.Line, Time: fmt.Sprintf("%.6f", t.took[k].Seconds())}
			total += t.took[k].Seconds()
			if !r.Passed {
				var lines []string
				for _, p := range r.Problems {
					lines = append(lines, p.Text)
					for _, d := range p.Detail {
						lines = append(lines, "  "+d)
					}
				}
				c.Failure = &junitFailure{Message: r.Problems[0].Text, Text: strings.Join(lines, "\n")}
			}
			s.add(c)
		}
		s.Time = fmt.Sprintf("%.6f", total)
		out.Suites = append(out.Suites, s)
		if len(t.Mutants) > 0 {
			out.Suites = append(out.Suites, mutantSuite(t))
		}
	}
	for _, s := range out.Suites {
		out.Tests += s.Tests
		out.Failures += s.Failures
	}
	b, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(file, append([]byte(xml.Header), append(b, '\n')...), 0o644); err != nil {
		return usage("--junit: %v", err)
	}
	return nil
}

// mutantSuite shows a survivor as a failure.
func mutantSuite(t *tested) junitSuite {
	s := junitSuite{Name: t.Pack + " mutants", Time: "0"}
	for i := range t.Mutants {
		m := &t.Mutants[i]
		c := junitCase{Name: m.Change, Class: string(m.Rule), File: m.File, Line: m.Line, Time: "0"}
		if !m.Killed {
			c.Failure = &junitFailure{Message: "no case notices: " + m.Change, Text: m.String() + "\n" + m.Advice}
		}
		s.add(c)
	}
	return s
}
