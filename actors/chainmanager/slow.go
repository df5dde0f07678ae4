package chainmanager

import (
	"time"

	"conga/messages"
)

const (
	// hopTakes is how much time of the slack one node may use up for longer than a
	// moment. A hop on a home line takes some 30 ms.
	hopTakes = 600 * time.Millisecond
	// slowReports is how many of a listener's reports in a row (one a second) it takes: a
	// splice or a full processor costs one.
	slowReports = 3
	// reportIsOld is when a report says nothing any more.
	reportIsOld = 3 * time.Second
)

// slow finds the node that cannot pass on at play rate: its own music comes in time, its
// listener's does not. It is the shell's memory, not the log's: reports come once a
// second from every listener.
type slow struct {
	reports map[string]report
}

type report struct {
	margin time.Duration
	at     time.Time
	late   int // reports in a row that were late because of the node above
}

// heard takes a listener's report. It returns the case against the node above, if there is one.
func (s *slow) heard(m *messages.Margin, chain State, now time.Time) *messages.ReportSlow {
	at := chain.place(m.ID)
	if at < 0 {
		return nil
	}
	if s.reports == nil || len(s.reports) > 2*len(chain.Chain)+16 {
		s.reports = map[string]report{} // bounded: those who left are forgotten
	}
	r := report{margin: time.Duration(m.MarginUs) * time.Microsecond, at: now, late: s.reports[m.ID].late}
	above, known := s.reports[chain.source(at)]
	if known && now.Sub(above.at) < reportIsOld && above.margin-r.margin > hopTakes {
		r.late++
	} else {
		r.late = 0
	}
	guilty := r.late >= slowReports
	if guilty {
		r.late = 0
	}
	s.reports[m.ID] = r
	if !guilty {
		return nil
	}
	return &messages.ReportSlow{
		Id: chain.source(at), SeenBy: m.ID, MarginUs: m.MarginUs, AtUnixUs: now.UnixMicro(),
	}
}
