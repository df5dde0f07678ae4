package result

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{5, 1, 2}, 2}, {[]float64{100, 1, 2, 4}, 3}} {
		if got := Median(c.of); got != c.want {
			t.Errorf("Median(%v) is %v, want %v", c.of, got, c.want)
		}
	}
}

// As many values are on either side of the median, in whatever order they come, and Median changes none.
func TestMedian_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 50).Draw(t, "values")
		before := slices.Clone(values)
		middle, below, above := Median(values), 0, 0
		for _, v := range values {
			if v < middle {
				below++
			}
			if v > middle {
				above++
			}
		}
		if 2*below > len(values) || 2*above > len(values) {
			t.Fatalf("of %v %d are below and %d above %v", values, below, above, middle)
		}
		if !slices.Equal(values, before) {
			t.Fatal("Median has changed its argument")
		}
	})
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[99-i] = float64(i + 1)
	}
	for p, want := range map[float64]float64{0: 1, 50: 50, 99: 99, 100: 100} {
		if got := Percentile(hundred, p); got != want {
			t.Errorf("%v %% of 1 to 100 is %v, want %v", p, got, want)
		}
	}
	if got := Percentile(nil, 50); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

var hops = Key{Name: "hop latency", Nodes: 10, Baseline: "raw relay"}

// The ratio is the median of the rounds' ratios, not the ratio of the medians: rounds that the whole machine was slow in
// do not count double.
func TestRun_Add(t *testing.T) {
	var r Run
	for _, round := range []Round{{80, 20}, {90, 10}, {300, 60}} {
		r.Add(hops, "us", Less, round)
	}
	line, has := r.Find(hops)
	if !has || len(r.Lines) != 1 || line.Conga != 90 || line.Base != 20 || line.Ratio != 5 {
		t.Errorf("%+v", line)
	}
}

func TestRun_Arrange(t *testing.T) {
	var r Run
	for _, key := range []Key{{"a", 1, "x"}, {"b", 1, "x"}, {"a", 1, "y"}, {"a", 100, "x"}, {"b", 10, "x"}, {"a", 10, "x"}} {
		r.Add(key, "", Less, Round{1, 1})
	}
	r.Arrange()
	var got []Key
	for _, l := range r.Lines {
		got = append(got, l.Key)
	}
	want := []Key{{"a", 1, "x"}, {"a", 10, "x"}, {"a", 100, "x"}, {"a", 1, "y"}, {"b", 1, "x"}, {"b", 10, "x"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestRun_Encode(t *testing.T) {
	r := Run{Date: time.Date(2026, 11, 26, 20, 10, 0, 0, time.UTC), Version: "1.0", Cores: 2, Rounds: 1, Load: [2]Load{0.25, 1}}
	r.Add(hops, "us", Less, Round{77.123456789, 8.5})
	r.Lacks("Icecast")
	r.Lacks("Icecast")
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"conga": 77.1235`) {
		t.Errorf("too many digits: %s", data)
	}
	again, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Encode()
	if err != nil || string(second) != string(data) || !reflect.DeepEqual(again.Missing, []string{"Icecast"}) {
		t.Errorf("%v\n%s\nis read as\n%s", err, data, second)
	}
	if _, err := Decode([]byte("# table")); err == nil {
		t.Error("a table is read as JSON")
	}
}

func TestCompare(t *testing.T) {
	run := func(ratios map[string]float64, better Better) (r Run) {
		for name, ratio := range ratios {
			r.Add(Key{Name: name, Baseline: "x"}, "", better, Round{ratio, 1})
		}
		return r
	}
	for _, c := range []struct {
		name     string
		better   Better
		old, now map[string]float64
		worse    int
		missing  int
	}{
		{"a time that grew by 19 %", Less, map[string]float64{"a": 1}, map[string]float64{"a": 1.19}, 0, 0},
		{"a time that grew by 25 %", Less, map[string]float64{"a": 2}, map[string]float64{"a": 2.5}, 1, 0},
		{"a time that shrank", Less, map[string]float64{"a": 2}, map[string]float64{"a": 0.1}, 0, 0},
		{"a throughput that grew", More, map[string]float64{"a": 1}, map[string]float64{"a": 3}, 0, 0},
		{"a throughput that halved", More, map[string]float64{"a": 1}, map[string]float64{"a": 0.5}, 1, 0},
		{"a line that is not there any more", Less, map[string]float64{"a": 1, "b": 1}, map[string]float64{"a": 1}, 0, 1},
		{"a new line", Less, map[string]float64{"a": 1}, map[string]float64{"a": 1, "b": 9}, 0, 0},
		{"no baseline", Less, map[string]float64{"a": 0}, map[string]float64{"a": 9}, 0, 0},
	} {
		worse, missing := Compare(run(c.old, c.better), run(c.now, c.better), 0.2)
		if len(worse) != c.worse || len(missing) != c.missing {
			t.Errorf("%s: %v, missing %v", c.name, worse, missing)
		}
	}
}

// A run compared with itself is not worse, and if one is worse than another, then not the other way round.
func TestCompare_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		better := rapid.SampledFrom([]Better{Less, More}).Draw(t, "better")
		var runs [2]Run
		for i := range runs {
			runs[i].Add(hops, "", better, Round{rapid.Float64Range(0.001, 1e6).Draw(t, "conga"), rapid.Float64Range(0.001, 1e6).Draw(t, "base")})
		}
		part := rapid.Float64Range(0.01, 2).Draw(t, "part")
		there, _ := Compare(runs[0], runs[1], part)
		back, _ := Compare(runs[1], runs[0], part)
		same, missing := Compare(runs[0], runs[0], part)
		if len(there) > 0 && len(back) > 0 || len(same)+len(missing) > 0 {
			t.Fatalf("there %v, back %v, itself %v %v", there, back, same, missing)
		}
	})
}

func TestRun_Table(t *testing.T) {
	r := Run{Version: "1.0", Go: "go1.26", Cores: 2, Load: [2]Load{0.3, 0.4}, Missing: []string{"Icecast"}}
	r.Add(hops, "us", Less, Round{60, 40})
	r.Add(hops, "us", Less, Round{80, 40})
	r.Add(Key{Name: "catching up", Baseline: "io.Copy"}, "MB/s", More, Round{100, 400})
	goals := []Goal{
		{Key{Name: "hop latency", Baseline: "raw relay"}, Ratio, 1.5, Less},
		{Key{Name: "catching up", Baseline: "io.Copy"}, Figure, 50, More},
	}
	var out strings.Builder
	if err := r.Table(&out, goals); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"hop latency 10 us 70.0 40.0 1.75 1.50–2.00 ≤ 1.50× missed raw relay",
		"catching up MB/s 100 400 0.25 0.25–0.25 ≥ 50.0 met io.Copy",
		"not measured: Icecast", "load 0.30 at the start, 0.40 at the end",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), line) {
			t.Errorf("the table has no %q:\n%s", line, out.String())
		}
	}
	if strings.Contains(out.String(), "BUSY") {
		t.Error("a quiet machine is said to be busy")
	}
	r.Load[0] = 1.2
	out.Reset()
	if err := r.Table(&out, nil); err != nil || !strings.Contains(out.String(), "BUSY") {
		t.Errorf("%v: a busy machine is not said to be busy:\n%s", err, out.String())
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234.5: "1234", 99.96: "100", 12.345: "12.3", 1.234: "1.23", 0.01234: "0.0123", -5: "-5.00", math.Pi / 1e6: "3.14e-06"} {
		if got := short(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}
