package result

import "fmt"

// Worse is a line that got worse from one run to another.
type Worse struct {
	Key      Key
	Old, New float64 // ratios
	By       float64 // 0.2: by 20 %
}

// String names the line and says how much worse it is.
func (w Worse) String() string {
	return fmt.Sprintf("%.0f %% worse: %v: the ratio was %s and is %s", w.By*100, w.Key, short(w.Old), short(w.New))
}

// Compare returns the lines whose ratio to the baseline got worse by more than the given part, and the lines of the old
// run that the new one does not have. Ratios are compared, not figures, so that the runs may be of different machines.
func Compare(old, now Run, part float64) (worse []Worse, missing []Key) {
	for _, was := range old.Lines {
		is, has := now.Find(was.Key)
		if !has {
			missing = append(missing, was.Key)
			continue
		}
		if by := was.worseBy(is); by > part {
			worse = append(worse, Worse{was.Key, was.Ratio, is.Ratio, by})
		}
	}
	return worse, missing
}

func (l Line) worseBy(now Line) float64 {
	if l.Ratio <= 0 || now.Ratio <= 0 {
		return 0 // there was no baseline
	}
	if l.Better == More {
		return l.Ratio/now.Ratio - 1
	}
	return now.Ratio/l.Ratio - 1
}
